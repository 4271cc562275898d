package traffic

import (
	"fmt"
	"strings"
)

// domain is what an agent talks about. Everything that its runs say is put together from these words.
type domain struct {
	system    string
	things    []string
	questions []string // %s is a thing
	facts     []string // %s is a thing, %d a number
	tools     []tool
	docs      string // name of the documents
}

type tool struct {
	name, describe string
	arg            string
	fails          string // class of its usual failure
}

var shop = domain{
	system: "You are the service assistant of a wholesale shop for machine parts. Answer from the stock system and the manual only, name the part number, and hand over to a person when the customer asks for a discount, a refund above 500 EUR or anything about contracts. Never promise a delivery date that the carrier has not confirmed.",
	things: []string{"K-210 hydraulic seal", "M8 flange bolt", "TX-44 gear pump", "B-7 bearing set", "R-90 pressure relief valve", "S-12 spindle motor", "C-303 coupling", "F-5 filter cartridge"},
	questions: []string{
		"Is the %s in stock?", "When will my order of the %s arrive?", "The %s I received is scratched, can I send it back?",
		"Which gasket fits the %s?", "What does the %s cost for 200 pieces?", "Is there a successor of the %s?",
	},
	facts: []string{
		"The %s is a standard item and ships from the central warehouse within %d working days.",
		"There are %[2]d pieces of the %[1]s on stock, of which some are reserved for open orders.",
		"According to the manual the %s must be replaced after %d operating hours.",
		"A return of the %s is possible within %d days as long as the packing is complete.",
		"The carrier confirmed the pick-up of the %s; tracking shows %d stops before yours.",
		"For the %s we give a graduated price from %d pieces upwards.",
	},
	tools: []tool{
		{"inventory_lookup", "Stock of a part in all warehouses", "part", "TimeoutError"},
		{"order_status", "State of an order", "order_id", "HTTPError"},
		{"create_return", "Opens a return for an order", "order_id", "ValidationError"},
		{"shipping_quote", "Price and days of a delivery", "postcode", "ConnectionError"},
	},
	docs: "manual",
}

var handbook = domain{
	system: "Answer the question of an employee from the excerpts of the company handbook below. Quote the section. If the excerpts do not hold the answer, say that you do not know. Do not give legal advice. Keep it under 150 words.",
	things: []string{"parental leave", "travel expenses", "remote work abroad", "on-call duty", "the security training", "equipment loans", "referral bonuses", "sabbaticals"},
	questions: []string{
		"What are the rules for %s?", "Who has to approve %s?", "Does %s also apply during the probation period?", "How do I apply for %s?",
		"What changed for %s this year?",
	},
	facts: []string{
		"Section %[2]d describes %[1]s: the request goes to the line manager first and then to the people team.",
		"For %s a notice of %d days is needed unless both sides agree otherwise.",
		"The allowance for %s is limited to %d EUR a year and is paid with the salary of the following month.",
		"Staff with less than %[2]d months in the company need an additional approval for %[1]s.",
		"Questions about %s are answered by the people team within %d working days.",
	},
	tools: []tool{{"search_handbook", "Full-text search of the handbook", "query", "ConnectionError"}},
	docs:  "handbook",
}

var research = domain{
	system: "You lead a small team of analysts. Split the task, give each analyst one clear question, check their answers against each other and write a short report with figures and sources. State how certain each figure is. Stop when the budget of tool calls is used up.",
	things: []string{"the European heat pump market", "solid-state batteries", "maritime freight rates", "industrial 3D printing", "satellite internet", "green steel", "cold chain logistics"},
	questions: []string{
		"Write a briefing on %s for the board.", "Compare the three largest suppliers in %s.", "Which risks does %s face next year?",
		"How did prices in %s develop since spring?",
	},
	facts: []string{
		"Analysts expect %s to grow by %d percent over the next three years, though estimates differ widely.",
		"In %s the five largest companies hold about %d percent of the revenue.",
		"Orders in %s fell for %d weeks in a row before they recovered in autumn.",
		"A shortage of specialists slows down %s; %d of the surveyed firms name it as their main concern.",
		"New rules for %s come into force in %d months and affect imports first.",
	},
	tools: []tool{
		{"web_search", "Searches the web", "query", "RateLimitError"},
		{"read_page", "Reads a web page as text", "url", "TimeoutError"},
		{"run_python", "Runs a snippet and returns what it prints", "code", "ToolException"},
	},
	docs: "report",
}

var coding = domain{
	system: "You help software engineers in a chat. Give working code, name the version you assume, and explain only what is not obvious. When the question is unclear ask one question back.",
	things: []string{"a rate limiter in Go", "an async iterator in TypeScript", "a window function in SQL", "retries with jitter in Python", "a Helm chart", "a flaky integration test", "a memory leak in Node"},
	questions: []string{
		"How do I write %s?", "Why does %s block under load?", "Can you review %s?", "What is the idiomatic way to test %s?", "Explain %s to a junior colleague.",
	},
	facts: []string{
		"For %s start with the smallest thing that works and measure it with %d concurrent callers.",
		"The usual mistake in %s is shared state; a buffer of %d entries hides it until production.",
		"```go\nfunc run(ctx context.Context) error {\n\t// %s\n\tfor i := range %d {\n\t\tif err := step(ctx, i); err != nil {\n\t\t\treturn fmt.Errorf(\"step %%d: %%w\", i, err)\n\t\t}\n\t}\n\treturn nil\n}\n```",
		"A test of %s should not sleep; inject the clock and advance it by %d seconds instead.",
		"Newer releases made %s simpler: since version %d the runtime does it for you.",
	},
	tools: []tool{{"search_docs", "Searches the documentation", "query", "TimeoutError"}, {"run_tests", "Runs the tests of a package", "package", "ToolException"}},
	docs:  "docs",
}

var invoices = domain{
	system: "Extract the fields of the invoice as JSON: supplier, number, date, net, tax, gross, currency, lines. Use null for what is not there. Do not compute what is not printed.",
	things: []string{"Nordwind Logistik GmbH", "Atelier Brun SARL", "Kappa Fastenings Ltd", "Ōsaka Denki 株式会社", "Müller & Söhne KG", "Quay Street Catering"},
	questions: []string{
		"Invoice of %s, page 1 of 2", "Credit note of %s", "Reminder of %s, third level", "Monthly statement of %s",
	},
	facts: []string{
		"%s, position %d: delivery and installation, net amount as agreed, value added tax 19 %%.",
		"Payment to %s within %d days net, 2 %% discount within 10 days.",
		"%s charges a surcharge of %d EUR for express handling; see terms overleaf.",
		"Bank details of %s have changed; please check the enclosed letter, reference %d.",
	},
	tools: []tool{{"erp_lookup", "Finds a supplier in the ERP", "supplier", "HTTPError"}},
	docs:  "invoice",
}

var farEast = []string{
	"この部品は現在在庫がございます。発送は明日の午前中を予定しております。", "お問い合わせいただき誠にありがとうございます。", "请问这个型号是否还有现货？我们下周就需要。",
	"根据手册，该密封件每运行两千小时必须更换一次。", "배송 상태를 확인해 드리겠습니다. 잠시만 기다려 주세요.",
}

// question is what a user asks.
func (d *domain) question(r rng) string {
	q := fmt.Sprintf(pick(r, d.questions), pick(r, d.things))
	switch {
	case r.chance(0.05):
		return q + " " + pick(r, farEast)
	case r.chance(0.05):
		return q + " 🙏\n\nThanks,\n\"the new one\" \\o/"
	}
	return q
}

// prose is about n bytes of what the domain knows.
func (d *domain) prose(r rng, n int) string {
	var b strings.Builder
	foreign := r.chance(0.04)
	for b.Len() < n {
		if b.Len() > 0 {
			if r.chance(0.15) {
				b.WriteString("\n\n")
			} else {
				b.WriteByte(' ')
			}
		}
		if foreign && r.chance(0.5) {
			b.WriteString(pick(r, farEast))
			continue
		}
		fmt.Fprintf(&b, pick(r, d.facts), pick(r, d.things), r.between(2, 400))
	}
	return b.String()
}
