// Command yamux-go is hashicorp's yamux as the far end of a session, for the tests of ours.
//
// It connects to a Unix socket, takes the given role, does one thing and prints one line of JSON.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash"
	"io"
	"log"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/yamux"
)

var (
	socket       = flag.String("socket", "", "Unix socket to connect to")
	role         = flag.String("role", "client", "client or server")
	backlog      = flag.Int("backlog", 256, "accept backlog")
	window       = flag.Int("window", 256*1024, "largest stream window, bytes")
	closeTimeout = flag.Duration("close-timeout", 5*time.Minute, "wait for the peer's FIN")
	do           = flag.String("do", "echo", "echo, sink, send, exchange, ping, go-away, open, vanish")
	streams      = flag.Int("streams", 1, "streams to open")
	size         = flag.Int("bytes", 0, "bytes for each stream")
	chunk        = flag.Int("chunk", 64*1024, "bytes of one read or write")
	delay        = flag.Duration("delay", 0, "pause before each read or accept")
)

type result struct {
	Bytes    int64    `json:"bytes"`
	Hashes   []string `json:"hashes"`
	Error    string   `json:"error"`
	Warnings []string `json:"warnings"`
	Millis   int64    `json:"millis"`
	Accepted int64    `json:"accepted"`
}

type warnings struct {
	mu    sync.Mutex
	lines []string
}

func (w *warnings) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lines = append(w.lines, strings.TrimSpace(string(p)))
	return len(p), nil
}

func main() {
	flag.Parse()
	w := &warnings{}
	r := result{Hashes: []string{}}
	start := time.Now()
	if err := run(&r, w); err != nil {
		r.Error = err.Error()
	}
	r.Millis = time.Since(start).Milliseconds()
	w.mu.Lock()
	r.Warnings = append([]string{}, w.lines...)
	w.mu.Unlock()
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		os.Exit(1)
	}
}

func run(r *result, w *warnings) error {
	conn, err := net.Dial("unix", *socket)
	if err != nil {
		return err
	}
	config := yamux.DefaultConfig()
	config.AcceptBacklog = *backlog
	config.EnableKeepAlive = false
	config.MaxStreamWindowSize = uint32(*window)
	config.StreamCloseTimeout = *closeTimeout
	config.LogOutput = nil
	config.Logger = log.New(w, "", 0)
	start := yamux.Client
	if *role == "server" {
		start = yamux.Server
	}
	session, err := start(conn, config)
	if err != nil {
		return err
	}
	defer session.Close()

	switch *do {
	case "echo":
		return acceptAll(session, r, func(s *yamux.Stream) error { return echo(s, r) })
	case "sink":
		return acceptAll(session, r, func(s *yamux.Stream) error { return sink(s, r) })
	case "send":
		return openAll(session, func(s *yamux.Stream) error { return send(s, nil) }, untilClosed)
	case "exchange":
		return openAll(session, func(s *yamux.Stream) error { return exchange(s, r) }, nil)
	case "open":
		return openAll(session, func(s *yamux.Stream) error { return nil }, untilClosed)
	case "ping":
		_, err := session.Ping()
		return err
	case "go-away":
		if err := session.GoAway(); err != nil {
			return err
		}
		<-session.CloseChan()
		return nil
	case "vanish":
		s, err := session.OpenStream()
		if err != nil {
			return err
		}
		if _, err := s.Write(make([]byte, 100_000)); err != nil {
			return err
		}
		os.Exit(3)
	}
	return fmt.Errorf("do what? %q", *do)
}

var resultLock sync.Mutex

// acceptAll serves streams until the session ends, which is the peer's to do.
func acceptAll(session *yamux.Session, r *result, serve func(*yamux.Stream) error) error {
	var group sync.WaitGroup
	var first atomic.Value
	defer group.Wait()
	for {
		time.Sleep(*delay)
		s, err := session.AcceptStream()
		if errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrSessionShutdown) {
			group.Wait()
			if failure, ok := first.Load().(error); ok {
				return failure
			}
			return nil
		}
		if err != nil {
			return err
		}
		resultLock.Lock()
		r.Accepted++
		resultLock.Unlock()
		group.Add(1)
		go func() {
			defer group.Done()
			if err := serve(s); err != nil {
				first.CompareAndSwap(nil, err)
			}
		}()
	}
}

func openAll(session *yamux.Session, use func(*yamux.Stream) error, after func(*yamux.Stream) error) error {
	failures := make(chan error, *streams)
	for range *streams {
		s, err := session.OpenStream()
		if err != nil {
			return fmt.Errorf("open: %w", err)
		}
		go func() {
			err := use(s)
			if err == nil {
				err = s.Close()
			}
			if err == nil && after != nil {
				err = after(s)
			}
			failures <- err
		}()
	}
	for range *streams {
		if err := <-failures; err != nil {
			return err
		}
	}
	return nil
}

// untilClosed waits until the peer closed its side too.
func untilClosed(s *yamux.Stream) error {
	_, err := io.Copy(io.Discard, s)
	return err
}

func echo(s *yamux.Stream, r *result) error {
	n, err := io.CopyBuffer(onlyWriter{s}, onlyReader{s}, make([]byte, *chunk))
	resultLock.Lock()
	r.Bytes += n
	resultLock.Unlock()
	if err != nil {
		return fmt.Errorf("echo: %w", err)
	}
	return s.Close()
}

func sink(s *yamux.Stream, r *result) error {
	sum := sha256.New()
	buf := make([]byte, *chunk)
	var total int64
	for {
		time.Sleep(*delay)
		n, err := s.Read(buf)
		sum.Write(buf[:n])
		total += int64(n)
		if err != nil {
			note(r, total, sum)
			if errors.Is(err, io.EOF) {
				return s.Close()
			}
			return fmt.Errorf("read: %w", err)
		}
	}
}

// send writes a pattern that the other side can foretell: byte i of the stream is i mod 251.
func send(s *yamux.Stream, sum hash.Hash) error {
	block := make([]byte, *chunk)
	for sent := 0; sent < *size; {
		n := min(len(block), *size-sent)
		for i := range block[:n] {
			block[i] = byte((sent + i) % 251)
		}
		if _, err := s.Write(block[:n]); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if sum != nil {
			sum.Write(block[:n])
		}
		sent += n
	}
	return nil
}

// exchange sends and reads the same number of bytes at once.
func exchange(s *yamux.Stream, r *result) error {
	sent := sha256.New()
	failure := make(chan error, 1)
	go func() { failure <- send(s, sent) }()
	read := sha256.New()
	n, err := io.Copy(read, io.LimitReader(s, int64(*size)))
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if err := <-failure; err != nil {
		return err
	}
	note(r, n, read)
	if hex.EncodeToString(read.Sum(nil)) != hex.EncodeToString(sent.Sum(nil)) {
		return errors.New("what came back differs")
	}
	return nil
}

func note(r *result, n int64, sum hash.Hash) {
	resultLock.Lock()
	defer resultLock.Unlock()
	r.Bytes += n
	r.Hashes = append(r.Hashes, hex.EncodeToString(sum.Sum(nil)))
}

type onlyReader struct{ io.Reader }

type onlyWriter struct{ io.Writer }
