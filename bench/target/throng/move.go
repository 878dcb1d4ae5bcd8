package throng

// Move goes on at another address, with the same users and chats: the server was
// started again. It closes the idle connections; those that Dial has opened stay
// where they are. Nothing else may use the Target at the time.
func (t *Target) Move(addr string) {
	t.idle.close()
	t.idle.open()
	t.addr = addr
}

// open takes callers again.
func (p *pool) open() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shut = false
}
