package notifier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand"
	"net/http"
	"time"
)

const (
	firstPause = 250 * time.Millisecond // doubled each time, with full jitter
	mostPause  = 15 * time.Second       // where the service asks for none
)

// exchange sends batches over the wire, and again until they are taken.
type exchange struct {
	options Options
	client  http.Client
}

func newExchange(options Options) *exchange {
	return &exchange{options, http.Client{
		Timeout: options.RequestTimeout,
		// Following a redirect would turn the POST into a GET.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// post sends a batch, and again until the last of its callers gives up, or for ever; it returns what became of each event.
func (e *exchange) post(ctx context.Context, items []*item, forEver bool) []outcome {
	outcomes := make([]outcome, len(items))
	taken, err := e.untilTaken(ctx, items, forEver)
	var problem *Problem
	if errors.As(err, &problem) && problem.Status == http.StatusRequestEntityTooLarge {
		if len(items) == 1 {
			return []outcome{{result: Result{Refused: problem}}}
		}
		half := len(items) / 2
		return append(e.post(ctx, items[:half], forEver), e.post(ctx, items[half:], forEver)...)
	}
	for i := range items {
		outcomes[i].err = err
		if err == nil {
			outcomes[i].result = taken[i]
		}
	}
	return outcomes
}

func (e *exchange) untilTaken(ctx context.Context, items []*item, forEver bool) ([]Result, error) {
	var last time.Time
	envelopes := make([][]byte, len(items))
	for i, each := range items {
		envelopes[i] = each.envelope
		if each.until.After(last) {
			last = each.until
		}
	}
	if !forEver {
		limited, cancel := context.WithDeadline(ctx, last)
		defer cancel()
		ctx = limited
	}
	body := append(append([]byte{'['}, bytes.Join(envelopes, []byte{','})...), ']')
	for pause := firstPause; ; pause *= 2 {
		if pause > mostPause {
			pause = mostPause
		}
		taken, err := e.once(ctx, body, len(items))
		var problem *Problem
		if err == nil || errors.As(err, &problem) {
			return taken, err
		}
		var unavailable *Unavailable
		asked := time.Duration(0)
		if errors.As(err, &unavailable) {
			asked = unavailable.RetryAfter
		}
		wait := time.Duration(rand.Int63n(int64(pause)))
		if !forEver {
			left := time.Until(last)
			if left < firstPause || left < asked {
				return nil, &Unavailable{e.options.URL + " accepted nothing in time", asked}
			}
			if wait > left-firstPause {
				wait = left - firstPause
			}
		}
		if wait < asked {
			wait = asked
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, &Unavailable{e.options.URL + " accepted nothing in time", asked}
		}
	}
}

func (e *exchange) once(ctx context.Context, body []byte, events int) ([]Result, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.options.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+e.options.Key)
	request.Header.Set("Content-Type", "application/cloudevents-batch+json")
	request.Header.Set("User-Agent", "notifier-go/"+version)
	response, err := e.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return results(e.options.URL, response.StatusCode, response.Header, content, events)
}
