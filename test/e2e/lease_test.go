package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// leaseAPI is the part of a Kubernetes API server that leader election needs: leases that are read, created and updated,
// where an update of a state that is not the present one conflicts.
type leaseAPI struct {
	kubeconfig string // path

	mu      sync.Mutex
	version int
	leases  map[string]lease // by path
}

const leasesPath = "/apis/coordination.k8s.io/v1/namespaces/"

func newLeaseAPI(t *testing.T) *leaseAPI {
	t.Helper()
	api := &leaseAPI{leases: map[string]lease{}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	api.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(api.kubeconfig, fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q}}]
users: [{name: test, user: {}}]
contexts: [{name: test, context: {cluster: test, user: test}}]
current-context: test
`, server.URL), 0o600))
	return api
}

// lease is what the API needs to know of one. The spec stays as the client encoded it.
type lease struct {
	name, version string
	spec          []byte
}

func (api *leaseAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	api.mu.Lock()
	defer api.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	sent, bad := decodeLease(body)
	path := r.URL.Path
	if r.Method == http.MethodPost {
		path += "/" + sent.name
	}
	present, exists := api.leases[path]
	switch {
	case !strings.HasPrefix(r.URL.Path, leasesPath):
		refuse(w, http.StatusNotFound, "NotFound")
	case err != nil, bad != nil && r.Method != http.MethodGet:
		refuse(w, http.StatusBadRequest, "BadRequest")
	case r.Method == http.MethodPost && exists:
		refuse(w, http.StatusConflict, "AlreadyExists")
	case r.Method != http.MethodPost && !exists:
		refuse(w, http.StatusNotFound, "NotFound")
	case r.Method == http.MethodPut && sent.version != present.version:
		refuse(w, http.StatusConflict, "Conflict")
	default:
		if r.Method != http.MethodGet {
			api.version++
			sent.version = strconv.Itoa(api.version)
			api.leases[path] = sent
		}
		w.Header().Set("Content-Type", "application/vnd.kubernetes.protobuf")
		_, _ = w.Write(encodeLease(api.leases[path]))
	}
}

func refuse(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"apiVersion": "v1", "kind": "Status", "status": "Failure", "reason": reason, "message": reason, "code": code,
	})
}

// Kubernetes' protobuf is a magic number and an envelope {typeMeta=1 {apiVersion=1, kind=2}, raw=2} around the object, here
// {metadata=1 {name=1, resourceVersion=6}, spec=2}.
const kubernetesMagic = "k8s\x00"

func decodeLease(body []byte) (l lease, err error) {
	envelope, ok := bytes.CutPrefix(body, []byte(kubernetesMagic))
	if !ok {
		return l, errors.New("not in Kubernetes' protobuf")
	}
	err = each(envelope, 2, func(object []byte) error {
		return fields(object, func(n protowire.Number, _ uint64, data []byte) error {
			switch n {
			case 1:
				return fields(data, func(n protowire.Number, _ uint64, data []byte) error {
					switch n {
					case 1:
						l.name = string(data)
					case 6:
						l.version = string(data)
					}
					return nil
				})
			case 2:
				l.spec = slices.Clone(data)
			}
			return nil
		})
	})
	return l, err
}

func encodeLease(l lease) []byte {
	field := func(b []byte, n protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), value)
	}
	kind := field(field(nil, 1, []byte("coordination.k8s.io/v1")), 2, []byte("Lease"))
	metadata := field(field(nil, 1, []byte(l.name)), 6, []byte(l.version))
	return field(field([]byte(kubernetesMagic), 1, kind), 2, field(field(nil, 1, metadata), 2, l.spec))
}
