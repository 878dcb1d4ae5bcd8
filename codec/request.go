package codec

import (
	"strconv"

	"github.com/google/uuid"
)

// A request is a frame that holds {"service_code":N,"content":{...}}: what a
// client sends, and [Decoder] reads. Each appender below appends one whole frame
// to dst and returns it, like append. Texts are spliced as they are, and no value
// is held against its range: the server does that.

// AppendLoginRequest appends a Login.
func AppendLoginRequest(dst []byte, id uuid.UUID, token int64) []byte {
	start := len(dst)
	dst = append(appendRequest(dst, Login), `"id":"`...)
	dst = append(appendID(dst, id), `","token":`...)
	return endRequest(strconv.AppendInt(dst, token, 10), start)
}

// AppendRegisterRequest appends a Register. A token of 0 asks the server for one;
// an empty name leaves the user with its id as name.
func AppendRegisterRequest(dst []byte, id uuid.UUID, token int64, name Text) []byte {
	start := len(dst)
	dst = append(appendRequest(dst, Register), `"id":"`...)
	dst = append(appendID(dst, id), '"')
	if token != 0 {
		dst = strconv.AppendInt(append(dst, `,"token":`...), token, 10)
	}
	if len(name) > 0 {
		dst = append(append(dst, `,"name":"`...), name...)
		dst = append(dst, '"')
	}
	return endRequest(dst, start)
}

// AppendReadRequest appends a GetChat or a Receive: at most count messages from
// index on, backwards or forwards.
func AppendReadRequest(dst []byte, service Service, token, chat, index int64, count int) []byte {
	start := len(dst)
	dst = appendChat(appendToken(dst, service, token), chat)
	dst = strconv.AppendInt(append(dst, `,"index":`...), index, 10)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
	return endRequest(dst, start)
}

// AppendFindRequest appends a FindChats: at most count chats whose ids are above
// after.
func AppendFindRequest(dst []byte, token, after int64, count int) []byte {
	start := len(dst)
	dst = appendToken(dst, FindChats, token)
	dst = strconv.AppendInt(append(dst, `,"after":`...), after, 10)
	dst = strconv.AppendInt(append(dst, `,"count":`...), int64(count), 10)
	return endRequest(dst, start)
}

// AppendSendRequest appends a Send. An empty ref is left out: sent again, the
// message then stands twice.
func AppendSendRequest(dst []byte, token, chat int64, text, ref Text) []byte {
	start := len(dst)
	dst = appendChat(appendToken(dst, Send, token), chat)
	dst = append(append(dst, `,"msg":"`...), text...)
	if len(ref) > 0 {
		dst = append(append(dst, `","ref":"`...), ref...)
	}
	return endRequest(append(dst, '"'), start)
}

// AppendJoinRequest appends a Join.
func AppendJoinRequest(dst []byte, token, chat int64) []byte {
	start := len(dst)
	return endRequest(appendChat(appendToken(dst, Join, token), chat), start)
}

// AppendCreateRequest appends a Create: a group, or the pair of the asking user
// and the one of members.
func AppendCreateRequest(dst []byte, token int64, name Text, isGroup bool, members []uuid.UUID) []byte {
	start := len(dst)
	dst = append(appendToken(dst, Create, token), `,"name":"`...)
	dst = append(append(dst, name...), `","is_group":`...)
	dst = append(strconv.AppendBool(dst, isGroup), `,"member":[`...)
	for i, id := range members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"id":"`...)
		dst = append(appendID(dst, id), `"}`...)
	}
	return endRequest(append(dst, ']'), start)
}

// AppendPingRequest appends a Ping.
func AppendPingRequest(dst []byte) []byte {
	start := len(dst)
	return endRequest(appendRequest(dst, Ping), start)
}

// appendRequest begins a request up to its first field; endRequest ends it.
func appendRequest(dst []byte, service Service) []byte {
	dst = append(beginFrame(dst), `{"service_code":`...)
	dst = strconv.AppendInt(dst, int64(service), 10)
	return append(dst, `,"content":{`...)
}

func endRequest(dst []byte, start int) []byte { return endFrame(append(dst, "}}"...), start) }

// appendToken begins a request of a user.
func appendToken(dst []byte, service Service, token int64) []byte {
	return strconv.AppendInt(append(appendRequest(dst, service), `"token":`...), token, 10)
}

func appendChat(dst []byte, chat int64) []byte {
	return strconv.AppendInt(append(dst, `,"chat":`...), chat, 10)
}
