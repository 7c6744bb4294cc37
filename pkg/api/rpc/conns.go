package rpc

import (
	"net"
	"sync"
	"sync/atomic"
)

// conns are the connections of a server. gRPC waits for what has not yet said that it speaks HTTP/2, also when it is to
// stop, so that who says nothing would hold it up.
type conns struct {
	mu       sync.Mutex // guards what follows
	all      map[*conn]struct{}
	stopping bool
}

// conn is a connection that knows whether its caller has said anything.
type conn struct {
	net.Conn

	owner *conns
	spoke atomic.Bool
}

// listener hands out connections that are remembered.
type listener struct {
	net.Listener

	conns *conns
}

// Accept waits for the next connection.
func (l listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // gRPC looks at it
	}
	return l.conns.add(c), nil
}

func (cs *conns) add(c net.Conn) *conn {
	made := &conn{Conn: c, owner: cs}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.stopping {
		_ = c.Close() // it says nothing that anybody would hear
		return made
	}
	if cs.all == nil {
		cs.all = map[*conn]struct{}{}
	}
	cs.all[made] = struct{}{}
	return made
}

// closeSilent closes the connections that have said nothing, and those that are still to come.
func (cs *conns) closeSilent() {
	cs.each(func(c *conn) {
		if !c.spoke.Load() {
			_ = c.Conn.Close()
		}
	})
}

// closeAll closes every connection.
func (cs *conns) closeAll() {
	cs.each(func(c *conn) { _ = c.Conn.Close() })
}

func (cs *conns) each(do func(c *conn)) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.stopping = true
	for c := range cs.all {
		do(c)
	}
}

// Read reads what the caller says.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.spoke.Store(true)
	}
	return n, err //nolint:wrapcheck // io.EOF among them
}

// Close closes the connection.
func (c *conn) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.all, c)
	c.owner.mu.Unlock()
	return c.Conn.Close() //nolint:wrapcheck // it is the same connection to its caller
}
