package codec

// The plain way to read a request: one pass over what nearly all clients send, a
// Send, a GetChat or a Receive with its own fields, each once, in any order, and with
// white space wherever JSON allows it but before a colon. It refuses nothing: a body
// that is not plain, or is at fault, is left to the other way (decode.go), which makes
// the same Request of a plain one. Whatever it takes it has checked in full: beside
// the texts, which textBytes checks, no byte passes but those named here.

const (
	// plainBytes is how long a plain body may be. Sonic reads 32 bytes in one step, and
	// is quicker with longer ones.
	plainBytes = 4 << 10

	// plainNesting is how deep a plain body nests: the envelope and its content.
	plainNesting = 2
)

// plainFields are the fields that a plain request has: a bit each.
type plainFields uint8

const (
	serviceField plainFields = 1 << iota
	contentField
	tokenField
	chatField
	indexField
	countField
	msgField
	refField

	readFields = serviceField | contentField | tokenField | chatField | indexField // and count, if it likes
	sendFields = serviceField | contentField | tokenField | chatField | msgField   // and ref
)

// plainReader reads one plain request into req.
type plainReader struct {
	req *Request
	has plainFields
}

// readPlain reads body into req, which must be empty, and reports whether it is plain.
// If not, req is of no use. The texts alias body, with their escapes: only a canonical
// one is plain.
func (d *Decoder) readPlain(body []byte, req *Request) bool {
	p := plainReader{req: req}
	return len(body) <= plainBytes && p.envelope(body) && p.within(&d.limits)
}

// within reports whether the fields are those of the service, and within their ranges
// and limits. A text counts with its escapes here, which only make it longer.
func (p *plainReader) within(limits *Limits) bool {
	r := p.req
	if r.Token < 1 || r.Chat < 1 || r.Chat > MaxChat || limits.Nesting < plainNesting {
		return false
	}
	if r.Service == Send {
		return p.has&^refField == sendFields &&
			len(r.Text) > 0 && len(r.Text) <= limits.Text && len(r.Ref) <= limits.Ref
	}
	if p.has&countField == 0 {
		r.Count = defaultCount
	}
	return p.has&^countField == readFields && r.Count > 0
}

// envelope reads the whole body.
func (p *plainReader) envelope(body []byte) bool {
	rest := cutMark(unspaced(body), '{')
	for more := true; more; {
		if value := after(rest, `"service_code":`); value != nil {
			rest = p.service(value)
		} else {
			rest = p.content(after(rest, `"content":`))
		}
		rest, more = cutNext(rest)
	}
	return rest != nil && len(rest) == 0
}

// The methods below cut a piece off rest, as the cutters of plain.go do, and the white
// space on both sides of it. So they begin, and end, where something else stands.

// service takes a service_code: nil where it is no service of this way.
func (p *plainReader) service(rest []byte) []byte {
	code, rest := p.integer(serviceField, rest)
	switch p.req.Service = Service(code); p.req.Service {
	case Send, GetChat, Receive:
		return rest
	}
	return nil
}

func (p *plainReader) content(rest []byte) []byte {
	rest = cutMark(unspaced(p.once(contentField, rest)), '{')
	for more := true; more; {
		rest, more = cutNext(p.field(rest))
	}
	return rest
}

// field takes a field of the content, key and value.
func (p *plainReader) field(rest []byte) []byte {
	r := p.req
	if value := after(rest, `"token":`); value != nil {
		r.Token, rest = p.integer(tokenField, value)
	} else if value := after(rest, `"chat":`); value != nil {
		r.Chat, rest = p.integer(chatField, value)
	} else if value := after(rest, `"msg":`); value != nil {
		r.Text, rest = p.text(msgField, value)
	} else if value := after(rest, `"ref":`); value != nil {
		r.Ref, rest = p.text(refField, value)
	} else if value := after(rest, `"index":`); value != nil {
		r.Index, rest = p.signed(indexField, value)
	} else {
		var count int64
		count, rest = p.integer(countField, after(rest, `"count":`))
		r.Count = int(min(count, MaxCount))
	}
	return rest
}

// once notes a field: nil where it has been there, since the last of its kind counts.
func (p *plainReader) once(field plainFields, rest []byte) []byte {
	if p.has&field != 0 {
		return nil
	}
	p.has |= field
	return rest
}

// integer takes a number that is 0 or above.
func (p *plainReader) integer(field plainFields, rest []byte) (int64, []byte) {
	n, rest := cutInteger(unspaced(p.once(field, rest)))
	return n, unspaced(rest)
}

// signed takes a number of any sign, but for the lowest of all.
func (p *plainReader) signed(field plainFields, rest []byte) (int64, []byte) {
	rest = unspaced(p.once(field, rest))
	sign, digits := int64(-1), after(rest, "-")
	if digits == nil {
		sign, digits = 1, rest
	}
	n, rest := cutInteger(digits)
	return sign * n, unspaced(rest)
}

func (p *plainReader) text(field plainFields, rest []byte) (Text, []byte) {
	text, rest := cutText(after(unspaced(p.once(field, rest)), `"`))
	return text, unspaced(rest)
}

// cutNext takes what stands behind a member of an object: a comma, so that more must
// follow, or the brace.
func cutNext(rest []byte) (left []byte, more bool) {
	if next := cutMark(rest, ','); next != nil {
		return next, true
	}
	return cutMark(rest, '}'), false
}

// cutMark takes one byte, and the white space behind it.
func cutMark(rest []byte, mark byte) []byte {
	if len(rest) == 0 || rest[0] != mark {
		return nil
	}
	return unspaced(rest[1:])
}

// unspaced takes white space, where there is any.
func unspaced(rest []byte) []byte {
	for len(rest) > 0 && rest[0] <= ' ' && (rest[0] == ' ' || rest[0] == '\n' || rest[0] == '\r' || rest[0] == '\t') {
		rest = rest[1:]
	}
	return rest
}
