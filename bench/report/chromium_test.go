package report

import (
	"bytes"
	"context"
	"fmt"
	"html"
	"image"
	"image/png"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// browser returns the path of Chromium. Without one the test is skipped, unless the
// environment says that it is required.
func browser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if strings.Contains(os.Getenv("THRONG_TEST_REQUIRE"), "chromium") {
		t.Fatal("there is no Chromium on this machine, and THRONG_TEST_REQUIRE asks for one")
	}
	t.Skip("there is no Chromium on this machine to look at the page with; set THRONG_TEST_REQUIRE=chromium to fail instead")
	return ""
}

// view loads a file, with no network to load anything else from, and returns what the browser
// wrote to its outputs.
func view(t *testing.T, file string, flags ...string) (out, log string) {
	t.Helper()
	flags = append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
		"--host-resolver-rules=MAP * ~NOTFOUND", "--user-data-dir=" + t.TempDir(), "--enable-logging=stderr", "--v=0",
	}, flags...)
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(context.WithoutCancel(t.Context()), browser(t), append(flags, (&url.URL{Scheme: "file", Path: file}).String())...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		t.Fatalf("the browser failed: %v\n%s", err, stderr.String())
	}
	return stdout.String(), stderr.String()
}

// saved writes a page to a file.
func saved(t *testing.T, page []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, page, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// console returns what a page wrote to the browser's console: errors, and all that the
// policy of the page has kept from loading.
func console(log string) []string { return regexp.MustCompile(`CONSOLE.*`).FindAllString(log, -1) }

func TestTheBrowserFindsNoFaultInAPage(t *testing.T) {
	browser(t)
	all := pages(t)
	for _, name := range []string{"full", "empty", "compare"} {
		page := all[name]
		dom, log := view(t, saved(t, page), "--dump-dom")
		if faults := console(log); len(faults) > 0 {
			t.Errorf("%s: the console says %q", name, faults)
		}
		plots, cursors := strings.Count(dom, `<figure class="plot`), strings.Count(dom, `<div class="cursor"`)
		if plots != bytes.Count(page, []byte(`<figure class="plot`)) || cursors != plots {
			t.Errorf("%s: %d plots, and the script has made %d cursors", name, plots, cursors)
		}
	}
}

// The test above means something only if faults are seen.
func TestTheBrowserTellsOfFaults(t *testing.T) {
	browser(t)
	const faults = `<script>throw new Error("first fault")</script><img alt="" src="http://127.0.0.1:9/second-fault.png"></main>`
	planted := bytes.Replace(pages(t)["closed"], []byte("</main>"), []byte(faults), 1)
	_, log := view(t, saved(t, planted), "--dump-dom")
	said := strings.Join(console(log), "\n")
	for _, want := range []string{"first fault", "second-fault.png"} {
		if !strings.Contains(said, want) {
			t.Errorf("the console says nothing of %s:\n%s", want, log)
		}
	}
}

func TestThePointerShowsFigures(t *testing.T) {
	browser(t)
	page := bytes.Replace(pages(t)["full"], []byte("</body>"), []byte(`<script>
for (const area of document.querySelectorAll("div.area")) {
  const box = area.getBoundingClientRect();
  area.dispatchEvent(new PointerEvent("pointermove", {clientX: box.left + .64 * box.width, clientY: box.top + 9}));
}</script></body>`), 1)
	dom, log := view(t, saved(t, page), "--dump-dom")
	if faults := console(log); len(faults) > 0 {
		t.Fatalf("the console says %q", faults)
	}
	for _, want := range []string{
		`<p class="">at 20.5 s</p>`, `<div class="error">errors<b class="">500 /s</b>`, `<div class="s2 dashed">from sent<b`, `<p class="">50.0 k/s offered</p>`,
	} {
		if !strings.Contains(dom, want) {
			t.Errorf("the page under the pointer does not show %s", want)
		}
	}
}

// screenshot returns what the browser draws.
func screenshot(t *testing.T, file string, width, height int, flags ...string) image.Image {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shot.png")
	view(t, file, append(flags, "--screenshot="+path, "--window-size="+strconv.Itoa(width)+","+strconv.Itoa(height))...)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	shot, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return shot
}

// brightness of a point, 0 to 0xffff.
func brightness(shot image.Image, x, y int) uint32 {
	r, g, b, _ := shot.At(x, y).RGBA()
	return (r + g + b) / 3
}

// colours counts how many different colours a picture has.
func colours(shot image.Image) int {
	met := map[[3]uint32]bool{}
	for y := range shot.Bounds().Dy() {
		for x := range shot.Bounds().Dx() {
			r, g, b, _ := shot.At(x, y).RGBA()
			met[[3]uint32{r, g, b}] = true
		}
	}
	return len(met)
}

func TestAPageIsLightOrDarkAsPreferred(t *testing.T) {
	browser(t)
	file := saved(t, pages(t)["full"])
	light := screenshot(t, file, 1200, 1600, "--blink-settings=preferredColorScheme=1")
	dark := screenshot(t, file, 1200, 1600, "--blink-settings=preferredColorScheme=0")
	if paper := brightness(light, 3, 3); paper < 0xf000 {
		t.Errorf("the light page's paper has a brightness of %#x", paper)
	}
	if paper := brightness(dark, 3, 3); paper > 0x2000 {
		t.Errorf("the dark page's paper has a brightness of %#x", paper)
	}
	if n, m := colours(light), colours(dark); n < 100 || m < 100 {
		t.Errorf("the pages are drawn in %d and %d colours: there is nothing on them", n, m)
	}
}

// A browser's window has a least width, a frame in it has none.
func TestPagesFitANarrowWindow(t *testing.T) {
	browser(t)
	var frames strings.Builder
	all := pages(t)
	for name, page := range all {
		fmt.Fprintf(&frames, `<iframe title="%s" style="width: 400px; height: 900px" frameborder="0" srcdoc="%s"></iframe>`, name, html.EscapeString(string(page)))
	}
	frames.WriteString(`<script>onload = () => {
  for (const frame of document.querySelectorAll("iframe")) {
    const root = frame.contentDocument.documentElement;
    document.body.append("[" + frame.title + ": " + root.scrollWidth + " of " + root.clientWidth + "]");
  }
}</script>`)
	dom, _ := view(t, saved(t, []byte(frames.String())), "--dump-dom")
	said := regexp.MustCompile(`\[\w+: \d+ of \d+\]`).FindAllString(dom, -1)
	if len(said) != len(all) {
		t.Fatalf("the frames tell %q", said)
	}
	for _, s := range said {
		if !strings.HasSuffix(s, ": 400 of 400]") {
			t.Errorf("wider than its window: %s", s)
		}
	}
}
