package store

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMoney(t *testing.T) {
	for text, want := range map[string]string{
		"0.0002192": "0.0002192", "0": "0", "12": "12", "1e-7": "0.0000001", "-0.5": "-0.5", "0.0000000000014": "0.000000000001", "0.0000000000015": "0.000000000002",
	} {
		m, ok := ParseMoney(text)
		require.True(t, ok, text)
		assert.Equal(t, want, m.String(), text)
	}
	for _, bad := range []string{"", "x", "1e99", "1e999999999", "NaN", "1e-999999999"} {
		_, ok := ParseMoney(bad)
		assert.False(t, ok, bad)
	}
	assert.Equal(t, "9223372.036854775808", DecimalOf(new(big.Int).Add(big.NewInt(1<<62), big.NewInt(1<<62))), "a sum may be larger than one amount")
}

func TestUUID(t *testing.T) {
	const text = "01a19b8a-d7cd-78b4-a652-e44da7f29e26"
	u, err := ParseUUID(text)
	require.NoError(t, err)
	assert.Equal(t, text, u.String())
	bare, err := ParseUUID("01A19B8AD7CD78B4A652E44DA7F29E26")
	require.NoError(t, err)
	assert.Equal(t, u, bare)
	for _, bad := range []string{"", "01a19b8a", text + "0", "01a19b8a-d7cd-78b4-a652-e44da7f29e2g"} {
		_, err := ParseUUID(bad)
		assert.Error(t, err, bad)
	}
}

func run(id byte, start int64, parent *Run) *Run {
	r := &Run{ID: UUID{15: id}, TraceID: UUID{15: id}, ProjectID: UUID{1}, Start: start, End: start + 5, Seen: start, Done: start + 5, Settled: start + 5, Type: "chain", Status: "success"}
	if parent != nil {
		r.Parent, r.ParentID, r.TraceID = parent, parent.ID, parent.TraceID
	}
	return r
}

func TestPagesCoverEveryRunOnceInBothOrders(t *testing.T) {
	s := New(UUID{})
	s.AddProject(Project{ID: UUID{1}, Name: "p"})
	var all []*Run
	for i := range 40 {
		r := run(byte(i), int64(100+i/3), nil) // equal start times
		all = append([]*Run{r}, all...)
	}
	require.Zero(t, s.Insert(all...))
	assert.Equal(t, 1, s.Insert(all[0]), "an id is taken once only")
	for _, ascending := range []bool{true, false} {
		q := Query{Projects: []UUID{{1}}, Ascending: ascending, Limit: 7}
		var got []*Run
		for {
			rows, more := s.Find(q, 1000)
			got = append(got, rows...)
			if !more {
				break
			}
			last := rows[len(rows)-1]
			q.After = &Position{last.Start, last.ID}
		}
		require.Len(t, got, 40)
		for i := 1; i < len(got); i++ {
			assert.Equal(t, ascending, order(got[i-1], got[i]) < 0)
		}
	}
	rows, _ := s.Find(Query{MinStart: 101, MaxStart: 103}, 1000)
	assert.Len(t, rows, 6, "the window is half open")
}

func TestSubtreeCountsNestedCallsOnce(t *testing.T) {
	s := New(UUID{})
	s.AddProject(Project{ID: UUID{1}, Name: "p"})
	root := run(1, 100, nil)
	outer, inner := run(2, 101, root), (*Run)(nil)
	outer.Type, outer.Usage, outer.Outer = "llm", &Usage{Input: 10, Output: 5, InputCost: 7, Priced: true}, true
	inner = run(3, 102, outer)
	inner.Type, inner.Usage, inner.FirstToken = "llm", outer.Usage, 103
	s.Insert(root, outer, inner)
	u, first := s.Subtree(root, 1000)
	assert.Equal(t, []int64{10, 5, 7, 103}, []int64{u.Input, u.Output, int64(u.TotalCost()), first})
	u, _ = s.Subtree(root, 104)
	assert.Zero(t, u.Input, "nothing has ended yet")
	assert.Equal(t, []UUID{root.ID, outer.ID}, inner.Ancestors(nil))
	assert.Equal(t, "19700101T000000000100Z"+root.ID.String()+".19700101T000000000101Z"+outer.ID.String(), string(outer.AppendDotted(nil)))
	assert.Equal(t, 3, s.DeleteTrace(root.ID))
	rows, _ := s.Find(Query{}, 1000)
	assert.Empty(t, rows)
}
