package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"throng/codec"
)

// callCommand is the newcomer's client: a person can talk to the server with no
// other tool.
type callCommand struct {
	Addr    string        `default:"127.0.0.1:7114" placeholder:"HOST:PORT" help:"The server's address."`
	File    string        `placeholder:"FILE" help:"Read the requests from a file, one a line."`
	Timeout time.Duration `default:"30s" help:"Time to wait for a reply."`
	JSON    []string      `arg:"" optional:"" name:"json" help:"Requests; without any, they are read from --file or standard input, one a line."`
}

// The most that call reads: a line, and a reply's body.
const (
	maxLine  = 16 << 20
	maxReply = 1 << 30
)

func (c *callCommand) run(ctx context.Context, in io.Reader, out, _ io.Writer) error {
	if len(c.JSON) > 0 {
		in = strings.NewReader("")
	} else if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("read requests: %w", err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	dialer := net.Dialer{Timeout: c.Timeout}
	conn, err := dialer.DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() { _ = conn.Close() }() // all replies have come
	for _, request := range c.JSON {
		if err := c.call(conn, out, request); err != nil {
			return err
		}
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" {
			if err := c.call(conn, out, line); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read requests: %w", err)
	}
	return nil
}

// call sends one request and prints its reply.
func (c *callCommand) call(conn net.Conn, out io.Writer, request string) error {
	if err := conn.SetDeadline(time.Now().Add(c.Timeout)); err != nil {
		return fmt.Errorf("set the deadline: %w", err)
	}
	if _, err := conn.Write(codec.AppendFrame(nil, []byte(request))); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	var header [4]byte
	if _, err := io.ReadFull(conn, header[:]); err != nil {
		return fmt.Errorf("no reply: %w", err)
	}
	length := binary.BigEndian.Uint32(header[:])
	if length > maxReply {
		return errors.New("the reply is no frame of Throng's protocol")
	}
	body := make([]byte, length, length+1)
	if _, err := io.ReadFull(conn, body); err != nil {
		return fmt.Errorf("the reply was cut off: %w", err)
	}
	if _, err := out.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
