package system

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestParseSources(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "[]",
		"  ":                       "[]",
		"127.0.0.1":                "[127.0.0.1]",
		"127.0.0.2-5":              "[127.0.0.2 127.0.0.3 127.0.0.4 127.0.0.5]",
		"127.0.0.9-9":              "[127.0.0.9]",
		"127.1.2.254-255, ::1":     "[127.1.2.254 127.1.2.255 ::1]",
		"::ffff:127.0.0.3":         "[127.0.0.3]",
		"127.0.0.2,127.0.0.4-5":    "[127.0.0.2 127.0.0.4 127.0.0.5]",
		"127.0.0.7,127.0.0.3 ,::1": "[127.0.0.7 127.0.0.3 ::1]",
	} {
		if got, err := ParseSources(text); err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q is read as %v, %v; want %s", text, got, err, want)
		}
	}
}

func TestParseSourcesRefuses(t *testing.T) {
	var many []string
	for i := range MaxSources/256 + 1 {
		many = append(many, fmt.Sprintf("127.0.%d.0-255", i))
	}
	for text, want := range map[string]string{
		"localhost":             `"localhost" is no address`,
		"127.0.0.1,":            `"" is no address`,
		"127.0.0.256":           `"127.0.0.256" is no address`,
		"127.0.0.5-2":           "not below the first",
		"127.0.0.5-256":         "last number",
		"127.0.0.5-127.0.0.9":   "last number",
		"127.0.0.5-":            "last number",
		"::1-5":                 "last number",
		"127.0.0.2-5,127.0.0.4": "127.0.0.4 is there twice",
		"192.0.2.7":             "192.0.2.7 is no address of this machine", // RFC 5737: nobody's
		"0.0.0.0":               "0.0.0.0 is no address of this machine",
		strings.Join(many, ","): "more than 1024 addresses",
	} {
		if got, err := ParseSources(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v; want an error with %q", text, got, err, want)
		}
	}
}

// The addresses of this machine's interfaces are taken, whichever it has, and one
// can listen on what was taken.
func TestParseSourcesTakesLocalAddresses(t *testing.T) {
	local, err := localAddresses()
	if err != nil {
		t.Fatal(err)
	}
	if len(local) == 0 {
		t.Fatal("this machine has no addresses")
	}
	for _, ip := range local {
		if got, err := ParseSources(ip.String()); err != nil || len(got) != 1 || !got[0].Equal(net.IP(ip.AsSlice())) {
			t.Errorf("%v is read as %v, %v", ip, got, err)
		}
	}
	ips, err := ParseSources("127.0.0.2-4")
	if err != nil {
		t.Fatal(err)
	}
	for _, ip := range ips {
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
	}
}
