package shards

import (
	"github.com/google/uuid"

	"throng/codec"
)

// accounts is the state of the actor that knows the users. An account never
// changes once it is registered.
type accounts struct {
	store   view
	secret  *secret
	byID    *Recent[uuid.UUID, codec.Text] // the name
	byToken *Recent[mac, account]
	missed  int
}

type account struct {
	id   uuid.UUID
	name codec.Text // empty: the id stands for it
}

const accountBytes = 150 // what an entry of either cache costs beside its name, maps included

func newAccounts(store view, secret *secret, memory int64) *accounts {
	return &accounts{
		store:   store,
		secret:  secret,
		byID:    NewRecent[uuid.UUID, codec.Text](memory / 2),
		byToken: NewRecent[mac, account](memory / 2),
	}
}

func (s *accounts) misses() int { return s.missed }

func (s *accounts) trim() {
	s.byID.Trim()
	s.byToken.Trim()
	s.missed = 0
}

func (s *accounts) reset() {
	s.byID.Reset()
	s.byToken.Reset()
	s.missed = 0
}

func (s *accounts) apply(op *Op, w *writes) error {
	switch op.Kind {
	case Lookup:
		return s.lookup(op)
	case Register:
		return s.register(op, w)
	case Resolve:
		return s.resolve(op)
	}
	panic("shards: not an operation of the accounts")
}

func (s *accounts) lookup(op *Op) error {
	u, found, err := s.token(s.secret.token(op.Token))
	if err != nil {
		return err
	}
	if !found {
		op.Answer.Status = NoUser
		return nil
	}
	op.User, op.Name = u.id, u.name
	op.Answer.Status = OK
	return nil
}

func (s *accounts) register(op *Op, w *writes) error {
	_, taken, err := s.id(op.User)
	if err != nil {
		return err
	}
	token, key, free, err := s.freeToken(op)
	if err != nil {
		return err
	}
	if taken || !free {
		op.Answer.Status = Taken
		return nil
	}
	u := account{id: op.User, name: append(codec.Text(nil), op.Name...)}
	if err := w.account(key, &u); err != nil {
		return err
	}
	s.rememberID(u.id, u.name)
	s.rememberToken(key, u)
	op.Answer = Answer{Status: OK, Index: token}
	return nil
}

// maxIssueTries bounds the tokens tried for a user who asked for any.
const maxIssueTries = 16

// freeToken returns op's token and whether nobody has it. One that the server
// proposed counts up until it is free.
func (s *accounts) freeToken(op *Op) (token int64, key mac, free bool, err error) {
	token = op.Token
	for range maxIssueTries {
		key = s.secret.token(token)
		_, taken, err := s.token(key)
		if err != nil || !taken || !op.Issue {
			return token, key, !taken, err
		}
		token = token%codec.MaxToken + 1
	}
	return token, key, false, nil
}

func (s *accounts) resolve(op *Op) error {
	for i := range op.Members {
		m := &op.Members[i]
		name, found, err := s.id(m.ID)
		if err != nil {
			return err
		}
		if !found {
			op.Answer.Status = Unregistered
			return nil
		}
		m.Name = name
	}
	op.Answer.Status = OK
	return nil
}

// id returns the name of the user with this id, and whether there is one.
func (s *accounts) id(id uuid.UUID) (name codec.Text, found bool, err error) {
	if name, ok := s.byID.Get(id); ok {
		return name, true, nil
	}
	s.missed++
	name, found, err = s.store.accountName(id)
	if found {
		s.rememberID(id, name)
	}
	return name, found, err
}

// token returns the account with this token, and whether there is one.
func (s *accounts) token(key mac) (u account, found bool, err error) {
	if u, ok := s.byToken.Get(key); ok {
		return u, true, nil
	}
	s.missed++
	u, found, err = s.store.account(key)
	if found {
		s.rememberToken(key, u)
	}
	return u, found, err
}

func (s *accounts) rememberID(id uuid.UUID, name codec.Text) {
	s.byID.Put(id, name, accountBytes+int64(len(name)))
}

func (s *accounts) rememberToken(key mac, u account) {
	s.byToken.Put(key, u, accountBytes+int64(len(u.name)))
}
