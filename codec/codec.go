// Package codec turns bytes into requests and answers into bytes: it cuts the
// length-prefixed frames of Throng's wire protocol, decodes the JSON of a
// request strictly, and appends the JSON of a reply. docs/protocol.md describes
// the protocol itself.
//
// For a client it does the same the other way round: the appenders of requests and
// [Answer].
//
// JSON in the form in which it nearly always comes is read by hand (plain.go,
// plain_request.go), everything else by sonic, and with the same result.
//
// codec owns no goroutine and no socket. A [Cutter] belongs to one connection
// and a [Decoder] to one goroutine; neither is safe for concurrent use. The
// appenders are pure functions over the caller's buffer.
//
// Strings travel through the server as [Text]: the inside of a JSON string in
// canonical escaped form. A text is therefore escaped at most once, when it
// comes in, and a reply splices the stored bytes as they are.
//
// It is the only package that imports sonic.
package codec

import (
	"fmt"
	"reflect"

	"github.com/bytedance/sonic"
)

// Service names a request's operation: the wire's service_code.
type Service int64

// The services of the protocol. Code 8 is unassigned; codes of Throng's own
// start at 100.
const (
	Login     Service = 1
	Register  Service = 2
	GetChat   Service = 3 // read backwards, newest first
	FindChats Service = 4
	Send      Service = 5
	Join      Service = 6
	Create    Service = 7
	Receive   Service = 9 // read forwards, oldest first
	Ping      Service = 100
)

// State is a reply's state_code.
type State int

// The states of the protocol.
const (
	StateOK           State = 200
	StateBadRequest   State = 400
	StateUnauthorized State = 401
	StateNotFound     State = 404
	StateTooLarge     State = 413
	StateBusy         State = 429
	StateInternal     State = 500
	StateDraining     State = 503
	StateDiskFull     State = 507
)

// The ranges of the wire's numbers.
const (
	MaxToken = 1<<63 - 1 // tokens are 1 … MaxToken
	MaxChat  = 1<<53 - 1 // chat ids are 1 … MaxChat: exact in a JavaScript number
	MaxCount = 1000      // larger counts are clamped to it

	defaultCount = 50 // count where a request names none
)

// NestingCeiling is the deepest nesting of JSON that the parser itself can
// walk; Limits.Nesting may not exceed it.
const NestingCeiling = 4096

// Limits bounds what a request may hold. All must be positive.
type Limits struct {
	Frame   int // bytes of a frame's body
	Text    int // bytes of a message's text, unescaped
	Name    int // bytes of a user's or a chat's name, unescaped
	Ref     int // bytes of a ref, unescaped
	Nesting int // depth of JSON objects and arrays, at most NestingCeiling
}

// DefaultLimits are the limits that the protocol names.
var DefaultLimits = Limits{
	Frame:   1 << 20,
	Text:    64 << 10,
	Name:    256,
	Ref:     64,
	Nesting: NestingCeiling,
}

// Text is the inside of a JSON string, without its quotes, in canonical
// escaped form: equal strings have equal Texts.
type Text []byte

// json is sonic, strict and frozen. ValidateString refuses raw control
// characters, CaseSensitive matches keys as the protocol does, and CopyString
// keeps no decoded string pointing into a frame. Invalid UTF-8 is refused
// before sonic sees it, since sonic would replace it.
var json = sonic.Config{
	CopyString:     true,
	ValidateString: true,
	CaseSensitive:  true,
}.Froze()

// Warm compiles the decoders before the first request: a concurrent first
// decode costs milliseconds and has crashed sonic (its issue 985). Call it
// once, before serving.
func Warm() error {
	for _, t := range []reflect.Type{
		reflect.TypeFor[envelope](), reflect.TypeFor[flat](), reflect.TypeFor[content](),
		reflect.TypeFor[[]member](), reflect.TypeFor[string](),
	} {
		if err := sonic.Pretouch(t); err != nil {
			return fmt.Errorf("compile the JSON decoder of %v: %w", t, err)
		}
	}
	return nil
}

// Engine names the JSON engine in use: "sonic", or "encoding/json" where sonic
// has no native code for this platform or Go release and falls back in silence.
func Engine() string {
	switch sonic.APIKind {
	case sonic.UseSonicJSON:
		return "sonic"
	default:
		return "encoding/json"
	}
}
