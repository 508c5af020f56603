// Package notifier reports events to notifier over HTTP: concurrent calls travel together, and what the service could not take
// for the moment is sent again, which an event's source and id make harmless.
package notifier

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strings"
	"sync"
	"time"
)

const version = "1.0.0"

const (
	batch     = 1000            // the most events in one request that the service accepts
	mostBytes = 8 * 1024 * 1024 // the most bytes in one request that it accepts
)

// ErrClosed is the error of calls after the producer was closed.
var ErrClosed = errors.New("the producer is closed")

// Options says how a producer is to be. URL, Key and Source are needed.
type Options struct {
	URL    string // the service's address, such as https://notifier.example.com
	Key    string // an API key with the scope events:write
	Source string // who reports; with an event's id it says which event it is

	Timeout        time.Duration // that a call may take in all, tries and pauses included; a minute by default
	RequestTimeout time.Duration // that one request may take, after which it is made again; 30 s by default

	// Spool is a file that keeps events until the service has answered for each: those of a process that ended before are
	// sent when the next one opens it, and a call that gives up leaves its events to be sent later.
	Spool      string
	SpoolBytes int64 // that the spool may have; 64 MiB by default. A call beyond them fails.
}

// Event is an event to report. Give an ID wherever your own records have one: it keeps a repeat from being told twice.
type Event struct {
	Type    string     `json:"type"`
	Data    any        `json:"data"`
	ID      string     `json:"id"`
	Subject string     `json:"subject,omitempty"`
	Time    *time.Time `json:"time,omitempty"`
}

// outcome is what became of an event: a result, or why there is none.
type outcome struct {
	result Result
	err    error
}

// item is an event as JSON, and when its caller gives up; nobody waits for one from the spool.
type item struct {
	key      key
	envelope []byte
	until    time.Time
	ended    chan outcome
}

// Producer reports events; goroutines share one, and so its batches.
type Producer struct {
	options  Options
	exchange *exchange
	spool    *spool

	lock       sync.Mutex
	waiting    []*item
	unanswered map[*item]bool
	sending    bool
	closed     bool
	idle       chan struct{}
	ctx        context.Context
	stop       context.CancelFunc
	done       sync.WaitGroup
}

// Open opens a producer; it fails where the spool can't be opened, or another producer has it.
func Open(options Options) (*Producer, error) {
	if options.Timeout == 0 {
		options.Timeout = time.Minute
	}
	if options.RequestTimeout == 0 {
		options.RequestTimeout = 30 * time.Second
	}
	if options.SpoolBytes == 0 {
		options.SpoolBytes = 64 * 1024 * 1024
	}
	options.URL = strings.TrimRight(options.URL, "/") + "/v1/events"
	p := &Producer{options: options, exchange: newExchange(options), unanswered: map[*item]bool{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	if options.Spool != "" {
		opened, err := openSpool(options.Spool, options.SpoolBytes)
		if err != nil {
			return nil, err
		}
		p.spool = opened
		for _, named := range opened.keys() {
			p.begin(&item{key: named, envelope: opened.open[named], ended: make(chan outcome, 1)})
		}
	}
	return p, nil
}

// Send reports one event, and returns the id that it has in the service. Its error is *Problem where it is refused,
// *Unavailable where it was not taken in time, ErrClosed, or of encoding/json.
func (p *Producer) Send(ctx context.Context, event Event) (string, error) {
	results, err := p.SendMany(ctx, []Event{event})
	if err != nil {
		return "", err
	}
	if results[0].Refused != nil {
		return "", results[0].Refused
	}
	return results[0].ID, nil
}

// SendMany reports several events, and returns what became of each, in order. It fails as Send does.
func (p *Producer) SendMany(ctx context.Context, events []Event) ([]Result, error) {
	items := make([]*item, len(events))
	until := time.Now().Add(p.options.Timeout)
	if limit, set := ctx.Deadline(); set && limit.Before(until) {
		until = limit
	}
	for i, event := range events {
		made, err := p.item(event, until)
		if err != nil {
			return nil, err
		}
		items[i] = made
	}
	if err := p.add(items); err != nil {
		return nil, err
	}
	if p.spool == nil {
		defer p.answered(items)
	}
	waited, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	results := make([]Result, len(items))
	var failed error
	for i, each := range items {
		select {
		case told := <-each.ended:
			results[i] = told.result
			if failed == nil {
				failed = told.err
			}
		case <-waited.Done():
			return nil, &Unavailable{Message: fmt.Sprintf("%s did not answer within %v", p.options.URL, p.options.Timeout)}
		}
	}
	if failed != nil {
		return nil, failed
	}
	return results, nil
}

// Close takes no more calls, and waits for those under way until the context ends; those that still are then fail with
// *Unavailable. It returns the ids of events that are not known to be taken; what the spool holds is sent at the next start.
func (p *Producer) Close(ctx context.Context) []string {
	p.lock.Lock()
	if p.closed {
		p.lock.Unlock()
		return nil
	}
	p.closed = true
	idle := make(chan struct{})
	p.idle = idle
	if len(p.unanswered) == 0 {
		close(idle)
		p.idle = nil
	}
	p.lock.Unlock()
	select {
	case <-idle:
	case <-ctx.Done():
	}
	p.lock.Lock()
	unsent := []string{}
	if p.spool != nil {
		for _, named := range p.spool.keys() {
			unsent = append(unsent, named[1])
		}
	} else {
		for each := range p.unanswered {
			unsent = append(unsent, each.key[1])
		}
	}
	p.lock.Unlock()
	p.stop()
	p.done.Wait()
	p.lock.Lock()
	defer p.lock.Unlock()
	for each := range p.unanswered {
		each.end(outcome{err: &Unavailable{Message: "the producer was closed before the service had answered"}})
	}
	if p.spool != nil {
		p.spool.close()
	}
	return unsent
}

// String is the address and the source; never the key.
func (p *Producer) String() string {
	return fmt.Sprintf("Producer(%s, %s)", p.options.URL, p.options.Source)
}

// GoString is what String is.
func (p *Producer) GoString() string { return p.String() }

func (p *Producer) item(event Event, until time.Time) (*item, error) {
	if event.ID == "" {
		random := make([]byte, 16)
		if _, err := rand.Read(random); err != nil {
			return nil, err
		}
		event.ID = hex.EncodeToString(random)
	}
	envelope, err := json.Marshal(struct {
		SpecVersion string `json:"specversion"`
		Source      string `json:"source"`
		Event
	}{"1.0", p.options.Source, event})
	return &item{key{p.options.Source, event.ID}, envelope, until, make(chan outcome, 1)}, err
}

func (p *Producer) add(items []*item) error {
	p.lock.Lock()
	defer p.lock.Unlock()
	if p.closed {
		return ErrClosed
	}
	if p.spool != nil {
		if err := p.spool.add(items); err != nil {
			return err
		}
	}
	p.begin(items...)
	return nil
}

func (p *Producer) begin(items ...*item) {
	for _, each := range items {
		p.waiting = append(p.waiting, each)
		p.unanswered[each] = true
	}
	if !p.sending && len(p.waiting) > 0 {
		p.sending = true
		p.done.Add(1)
		go p.run()
	}
}

func (p *Producer) answered(items []*item) {
	p.lock.Lock()
	defer p.lock.Unlock()
	for _, each := range items {
		delete(p.unanswered, each)
	}
	if len(p.unanswered) == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

// run sends what waits, a batch at a time: what comes meanwhile is the next one.
func (p *Producer) run() {
	defer p.done.Done()
	for items := p.next(); items != nil; items = p.next() {
		wanted := items
		if p.spool == nil {
			wanted = nil
			for _, each := range items {
				if time.Now().Before(each.until) {
					wanted = append(wanted, each)
				}
			}
		}
		if len(wanted) > 0 {
			outcomes := p.exchange.post(p.ctx, wanted, p.spool != nil)
			if p.ctx.Err() != nil {
				return
			}
			p.settle(wanted, outcomes)
			for i, each := range wanted {
				each.end(outcomes[i])
			}
		}
		p.answered(items)
	}
}

func (p *Producer) next() []*item {
	p.lock.Lock()
	defer p.lock.Unlock()
	count, size := 0, 2
	for count < len(p.waiting) && count < batch {
		size += len(p.waiting[count].envelope) + 1
		if size > mostBytes && count > 0 {
			break
		}
		count++
	}
	if count == 0 || p.ctx.Err() != nil {
		p.sending = false
		return nil
	}
	items := p.waiting[:count:count]
	p.waiting = p.waiting[count:]
	return items
}

func (p *Producer) settle(items []*item, outcomes []outcome) {
	if p.spool == nil {
		return
	}
	var settled []key
	for i, each := range items {
		if outcomes[i].err == nil {
			settled = append(settled, each.key)
		}
		if time.Now().Before(each.until) {
			continue
		}
		var problem *Problem
		if refused := outcomes[i].result.Refused; refused != nil {
			log.Printf("notifier: the event %s of %s was refused: problem %d", each.key[1], each.key[0], refused.Code)
		} else if errors.As(outcomes[i].err, &problem) {
			log.Printf("notifier: the event %s of %s stays in the spool: problem %d", each.key[1], each.key[0], problem.Code)
		}
	}
	p.lock.Lock()
	defer p.lock.Unlock()
	p.spool.settle(settled)
}

func (i *item) end(told outcome) {
	select {
	case i.ended <- told:
	default: // it was told already
	}
}
