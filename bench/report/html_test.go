package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
)

// pages are those that the tests look at, by name.
func pages(t *testing.T) map[string][]byte {
	t.Helper()
	c, err := Compare(sampleGroups(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	empty := &Report{Total: Figures{Kind: "total"}, Warnings: []string{"nothing succeeded"}}
	return map[string][]byte{
		"full":    textOf(t, func(b *bytes.Buffer) error { return WriteHTML(b, sampleFull()) }),
		"closed":  textOf(t, func(b *bytes.Buffer) error { return WriteHTML(b, sampleClosed()) }),
		"empty":   textOf(t, func(b *bytes.Buffer) error { return WriteHTML(b, empty) }),
		"compare": textOf(t, func(b *bytes.Buffer) error { return WriteComparisonHTML(b, c) }),
	}
}

// wellFormed reads a page as XML, which its tags are but for those that HTML leaves open,
// and returns the elements that it has, and its text.
func wellFormed(page []byte) (elements map[string]int, text string, err error) {
	page = regexp.MustCompile(`(?s)(<script[^>]*>|<style>).*?(</script>|</style>)`).ReplaceAll(page, []byte("$1$2"))
	page = regexp.MustCompile(`<(meta|link)([^>]*)>`).ReplaceAll(page, []byte("<$1$2/>"))
	decoder := xml.NewDecoder(bytes.NewReader(page))
	elements = map[string]int{}
	var b strings.Builder
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return elements, b.String(), nil
		}
		if err != nil {
			return nil, "", fmt.Errorf("at byte %d: %w", decoder.InputOffset(), err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
		case xml.CharData:
			b.Write(token)
		}
	}
}

func TestPagesAreWellFormed(t *testing.T) {
	for name, page := range pages(t) {
		if _, _, err := wellFormed(page); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPagesLoadNothing(t *testing.T) {
	loading := regexp.MustCompile(`(?i)://|\bsrc\s*=|@import|url\(|\bfetch\(|XMLHttpRequest|<iframe|<img|<base`)
	for name, page := range pages(t) {
		if found := loading.FindAllString(string(page), 5); found != nil {
			t.Errorf("%s has %q", name, found)
		}
		if !bytes.Contains(page, []byte(`content="default-src 'none'`)) {
			t.Errorf("%s does not forbid the browser to load anything", name)
		}
	}
}

func TestAPageShowsAllWithoutScripts(t *testing.T) {
	elements, text, err := wellFormed(pages(t)["full"])
	if err != nil {
		t.Fatal(err)
	}
	if elements["svg"] != 6 {
		t.Errorf("%d plots, want latencies, capacity, rate, latency, processors and memory", elements["svg"])
	}
	for _, want := range []string{
		"throng 0.4.0-12-g7db6616 · sync=always", "49.9", "99.8 % of 50.0 k/s offered",
		"50.0 k/s held, 60.0 k/s did not", "p99 is 31.0 ms, not <20ms",
		"chat 17: index 204 was acknowledged with the text of <b>send</b> 9182, and the log has none there",
		"the run was interrupted: its figures are partial", "3 requests were due and never sent",
		"total: 429", "AMD EPYC 7B13, 2 cores", "throng-bench mixed --rate 50000", "1.85 KiB",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

func TestAPageOfComparisonShowsEveryRun(t *testing.T) {
	page := pages(t)["compare"]
	for _, class := range []string{"s1", "s2", "s3"} {
		lines := bytes.Count(page, []byte(`<path class="`+class+` line"`))
		if want := 5 * 3; lines != want { // five plots of three runs
			t.Errorf("%d lines of class %s, want %d", lines, class, want)
		}
		if legends := bytes.Count(page, []byte(`<li class="`+class+`">`)); legends != 5 {
			t.Errorf("%d legends of class %s, want one a plot", legends, class)
		}
	}
	for _, want := range []string{"0.80x", "worse", "durability differs"} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

func TestTextsOfOthersCannotBecomeMarkup(t *testing.T) {
	r := sampleFull()
	const evil = `</script><script>alert("1")</script><img src=x onerror=alert(2)>`
	r.Server.Version, r.Warnings, r.Command = evil, []string{evil}, []string{evil}
	r.Total.Errors = map[string]int64{evil: 1}
	page := textOf(t, func(b *bytes.Buffer) error { return WriteHTML(b, r) })
	if bytes.Contains(page, []byte("alert(\"1\")")) || bytes.Contains(page, []byte("<img")) {
		t.Error("a text of the server's is markup in the page")
	}
	if _, _, err := wellFormed(page); err != nil {
		t.Error(err)
	}
}

func TestADamagedHistogramMakesNoPage(t *testing.T) {
	r := sampleFull()
	r.Total.Latency.Hdr = "damaged"
	if err := WriteHTML(io.Discard, r); err == nil {
		t.Error("there is a page")
	}
}
