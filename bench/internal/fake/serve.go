package fake

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"throng/codec"
)

// serve carries a request out and returns its reply. Its caller holds mu.
func (s *Server) serve(req *codec.Request) []byte {
	switch req.Service {
	case codec.Login:
		return s.login(req)
	case codec.Register:
		return s.register(req)
	case codec.GetChat, codec.Receive:
		return s.page(req)
	case codec.FindChats:
		return s.findChats(req)
	case codec.Send:
		return s.send(req)
	case codec.Join:
		return s.join(req)
	case codec.Create:
		return s.create(req)
	case codec.Ping:
		return codec.AppendPong(nil, time.Now().UnixMilli())
	}
	panic(fmt.Sprintf("fake: the decoder let service %d through", req.Service))
}

func noChat() []byte { return codec.AppendError(nil, codec.StateNotFound, "no such chat") }

func (s *Server) login(req *codec.Request) []byte {
	if u := s.world.users[req.ID]; u == nil || u.token != req.Token {
		return codec.AppendFailed(nil, "wrong id or token")
	}
	return codec.AppendSuccess(nil)
}

func (s *Server) register(req *codec.Request) []byte {
	token := req.Token
	if token == 0 {
		token = s.world.freeToken()
	}
	switch {
	case !s.world.register(req.ID, token, req.Name):
		return codec.AppendFailed(nil, "id or token in use")
	case req.Token == 0:
		return codec.AppendIssued(nil, token)
	}
	return codec.AppendSuccess(nil)
}

func (s *Server) create(req *codec.Request) []byte {
	creator := s.world.who(req.Token)
	members := map[uuid.UUID]bool{creator: true}
	for _, id := range req.Members {
		members[id] = true
	}
	if !req.IsGroup && len(members) != 2 {
		return codec.AppendError(nil, codec.StateBadRequest, "a pair needs one other member")
	}
	for id := range members {
		if id != creator && s.world.users[id] == nil {
			return codec.AppendFailed(nil, "a member is not registered")
		}
	}
	if req.IsGroup {
		return codec.AppendCreated(nil, s.world.create(req.Name, true, members))
	}
	return codec.AppendCreated(nil, s.pair(req.Name, members))
}

// pair returns the chat that two users have, and makes it where they have none.
func (s *Server) pair(name codec.Text, members map[uuid.UUID]bool) int64 {
	two := [2]uuid.UUID((&chat{members: members}).sortedMembers())
	id, made := s.world.pairs[two]
	if !made {
		id = s.world.create(name, false, members)
		s.world.pairs[two] = id
	}
	return id
}

func (s *Server) join(req *codec.Request) []byte {
	c, who := s.world.chats[req.Chat], s.world.who(req.Token)
	if c == nil || !c.group && !c.members[who] {
		return noChat()
	}
	c.members[who] = true
	return codec.AppendSuccess(nil)
}

func (s *Server) findChats(req *codec.Request) []byte {
	page := codec.NewPage(nil, codec.FindChats, replyBytes)
	ids := s.world.chatsOf(s.world.who(req.Token), req.After)
	for i, id := range ids {
		c := s.world.chats[id]
		users := c.sortedMembers()
		shown := codec.Chat{
			ID: id, Name: c.name, IsGroup: c.group, Members: int64(len(users)), Last: c.last,
			Users: users[:min(len(users), maxShownUsers)],
		}
		if i == req.Count || !page.Chat(&shown) {
			page.More()
			break
		}
	}
	return page.Finish()
}

// page answers a read.
func (s *Server) page(req *codec.Request) []byte {
	c := s.world.seen(req.Chat, s.world.who(req.Token))
	if c == nil {
		return noChat()
	}
	page := codec.NewPage(nil, req.Service, replyBytes)
	shown := s.window(c, req)
	for i := range shown {
		if !page.Message(&shown[i].Message) {
			break
		}
	}
	if req.Service == codec.GetChat && len(shown) > 0 && s.strikes(vanish) {
		c.remove(shown[0].Index)
	}
	return page.Finish()
}

// window is the messages that a read asks for, in the order to be shown.
func (s *Server) window(c *chat, req *codec.Request) []message {
	if req.Service == codec.Receive {
		return c.between(forward(req.Index, req.Count, c.last))
	}
	last := c.last
	if last > 0 && s.strikes(staleRead) {
		last /= 2
	}
	shown := slices.Clone(c.between(backward(req.Index, req.Count, last)))
	slices.Reverse(shown)
	return shown
}

func (s *Server) send(req *codec.Request) []byte {
	sender := s.world.who(req.Token)
	c := s.world.seen(req.Chat, sender)
	if c == nil {
		return noChat()
	}
	index := c.repeated(sender, req.Ref)
	if index == 0 {
		index = s.store(c, sender, req)
	}
	return codec.AppendSent(nil, index)
}

// store stores a message, or what the faults make of it, and returns the index to
// acknowledge.
func (s *Server) store(c *chat, sender uuid.UUID, req *codec.Request) int64 {
	var name codec.Text
	if u := s.world.users[sender]; u != nil {
		name = u.name
	}
	if c.last > 0 && s.strikes(reuseIndex) {
		return c.last
	}
	if s.strikes(gap) {
		c.last++
	}
	text := req.Text
	if s.strikes(wrongText) {
		text = append(bytes.Clone(text), '!')
	}
	index := c.add(sender, name, text, req.Ref)
	s.spoil(c, index)
	return index
}

// spoil lets faults strike the log after a message has been stored.
func (s *Server) spoil(c *chat, index int64) {
	stored := c.log[len(c.log)-1]
	if n := len(c.log); n > 2 && s.strikes(reorder) {
		a, b := &c.log[n-3], &c.log[n-2]
		a.Text, b.Text = b.Text, a.Text
	}
	if s.strikes(duplicate) {
		c.add(stored.Sender, stored.Name, stored.Text, nil)
	}
	if s.strikes(phantom) {
		c.add(stored.Sender, stored.Name, fmt.Appendf(nil, "phantom %d", s.struck), nil)
	}
	if s.strikes(drop) {
		c.remove(index)
	}
}
