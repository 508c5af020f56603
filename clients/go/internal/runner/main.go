// Command runner is the program of the behaviour table in Go: a goroutine for each call.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	notifier "github.com/notifier/notifier/clients/go"
)

type told struct {
	Do             string
	URL            string
	Key            string
	Source         string
	Timeout        float64
	RequestTimeout float64 `json:"request_timeout"`
	Spool          string
	SpoolBytes     int64 `json:"spool_bytes"`
	Many           bool
	Calls          [][]struct {
		ID         string
		Padding    string
		Impossible bool
	}
}

type runner struct {
	producer *notifier.Producer
	calls    sync.WaitGroup
	lock     sync.Mutex
	results  [][2]any
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 256*1024*1024)
	out := json.NewEncoder(os.Stdout)
	one := &runner{results: [][2]any{}}
	for lines.Scan() {
		var command told
		if err := json.Unmarshal(lines.Bytes(), &command); err != nil {
			panic(err)
		}
		if err := out.Encode(one.do(command)); err != nil {
			panic(err)
		}
	}
}

func (r *runner) do(command told) any {
	switch command.Do {
	case "open":
		var err error
		r.producer, err = notifier.Open(notifier.Options{
			URL: command.URL, Key: command.Key, Source: command.Source, Timeout: seconds(command.Timeout),
			RequestTimeout: seconds(command.RequestTimeout), Spool: command.Spool, SpoolBytes: command.SpoolBytes,
		})
		if err != nil {
			return map[string]string{"error": err.Error()}
		}
	case "start":
		r.start(command)
	case "finish":
		r.calls.Wait()
		results := r.results
		r.results = [][2]any{}
		return map[string]any{"results": results}
	case "close":
		ctx, cancel := context.WithTimeout(context.Background(), seconds(command.Timeout))
		defer cancel()
		unsent := r.producer.Close(ctx)
		if unsent == nil {
			unsent = []string{}
		}
		return map[string]any{"unsent": unsent}
	case "show":
		return map[string]string{"shown": fmt.Sprintf("%v %+v %#v", r.producer, r.producer, r.producer)}
	}
	return struct{}{}
}

func (r *runner) start(command told) {
	for _, call := range command.Calls {
		events := make([]notifier.Event, len(call))
		for i, each := range call {
			data := map[string]any{"n": each.ID, "padding": each.Padding}
			if each.Impossible {
				data["it"] = func() {}
			}
			events[i] = notifier.Event{Type: "charging.complete", Data: data, ID: each.ID}
		}
		r.calls.Add(1)
		go func() {
			defer r.calls.Done()
			results, err := r.send(events, command.Many)
			r.lock.Lock()
			defer r.lock.Unlock()
			for i, event := range events {
				if err != nil {
					r.results = append(r.results, [2]any{event.ID, failure(err)})
				} else if results[i].Refused != nil {
					r.results = append(r.results, [2]any{event.ID, failure(results[i].Refused)})
				} else {
					r.results = append(r.results, [2]any{event.ID, map[string]string{"accepted": results[i].ID}})
				}
			}
		}()
	}
}

func (r *runner) send(events []notifier.Event, many bool) ([]notifier.Result, error) {
	if many {
		return r.producer.SendMany(context.Background(), events)
	}
	id, err := r.producer.Send(context.Background(), events[0])
	return []notifier.Result{{ID: id}}, err
}

func failure(err error) any {
	var problem *notifier.Problem
	var unavailable *notifier.Unavailable
	switch {
	case errors.As(err, &problem):
		return map[string]int{"code": problem.Code, "status": problem.Status}
	case errors.As(err, &unavailable):
		return map[string]any{"failed": "unavailable", "retry_after": unavailable.RetryAfter.Seconds()}
	case errors.Is(err, notifier.ErrClosed):
		return map[string]string{"failed": "closed"}
	default:
		return map[string]string{"failed": "invalid"}
	}
}

func seconds(number float64) time.Duration {
	return time.Duration(number * float64(time.Second))
}
