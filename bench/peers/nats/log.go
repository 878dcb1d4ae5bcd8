package nats

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"

	"throng/bench/target"
)

// logPage is how many messages a Log asks for at a time.
const logPage = 1000

// Headers and statuses of the answers to a direct get of several messages.
const (
	statusHeader   = "Status"
	sequenceHeader = "Nats-Sequence"
	statusEnd      = "204" // of the batch
	statusNone     = "404" // no message from there on
)

// directGet asks for messages of one subject, oldest first.
type directGet struct {
	Sequence int64  `json:"seq"` // the least
	Subject  string `json:"next_by_subj"`
	Batch    int    `json:"batch"`
}

// Log implements target.Target.
func (s *server) Log(ctx context.Context, chat int, after int64, visit func(target.Message) error) error {
	inbox := s.admin.NewInbox()
	answers, err := s.admin.SubscribeSync(inbox)
	if err != nil {
		return fmt.Errorf("subscribe to an inbox: %w", err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := answers.SetPendingLimits(-1, -1); err != nil { // a batch bounds them
		return fmt.Errorf("lift an inbox's limits: %w", err)
	}
	for {
		last, more, err := s.logBatch(ctx, answers, directGet{after + 1, s.chats[chat], logPage}, visit)
		if err != nil {
			return fmt.Errorf("read subject %s back: %w", s.chats[chat], err)
		}
		if !more {
			return nil
		}
		after = last
	}
}

// logBatch shows one batch of messages, and tells the last one's index and whether
// there may be more.
func (s *server) logBatch(
	ctx context.Context, answers *nats.Subscription, ask directGet, visit func(target.Message) error,
) (last int64, more bool, err error) {
	request, err := json.Marshal(ask)
	if err != nil {
		return 0, false, err
	}
	if err := s.admin.PublishRequest("$JS.API.DIRECT.GET."+s.stream, answers.Subject, request); err != nil {
		return 0, false, err
	}
	for n := 0; ; n++ {
		msg, err := answers.NextMsgWithContext(ctx)
		if err != nil {
			return 0, false, err
		}
		switch status := msg.Header.Get(statusHeader); status {
		case "":
		case statusEnd:
			return last, n == ask.Batch, nil
		case statusNone:
			return last, false, nil
		default:
			return 0, false, errors.New("direct get: status " + status + " " + msg.Header.Get("Description"))
		}
		if last, err = strconv.ParseInt(msg.Header.Get(sequenceHeader), 10, 64); err != nil {
			return 0, false, fmt.Errorf("sequence number: %w", err)
		}
		if err := visit(target.Message{Index: last, Hash: target.Hash(msg.Data)}); err != nil {
			return 0, false, err
		}
	}
}
