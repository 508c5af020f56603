package notifier

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// mostAsked is the pause that the service is believed to ask for: what is longer is a mistake.
const mostAsked = time.Hour

// Problem is the error of what the service refuses (RFC 9457), or of something else than the service that has answered, such
// as a proxy: then Code is 0.
type Problem struct {
	Code    int    `json:"code"`
	Status  int    `json:"status"`
	Title   string `json:"title"`
	Detail  string `json:"detail"`
	Pointer string `json:"pointer"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%d %s: %s", p.Code, p.Title, p.Detail)
}

// Unavailable is the error of events that were not taken in time; the same events may be sent again later.
type Unavailable struct {
	Message string
	// RetryAfter is how long the service last asked to wait, or 0.
	RetryAfter time.Duration
}

func (u *Unavailable) Error() string { return u.Message }

// Result is what became of one event: its id in the service, or the problem for which it is refused.
type Result struct {
	ID      string
	Refused *Problem
}

// results returns a result for each event; its error is *Unavailable where the same request may be made again, and *Problem
// where it is refused or something else than the service has answered.
func results(url string, status int, header http.Header, content []byte, events int) ([]Result, error) {
	if status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests {
		return nil, &Unavailable{fmt.Sprintf("%s answered %d", url, status), pauseAsked(header)}
	}
	if status == http.StatusAccepted {
		var told struct {
			Results []struct {
				Status, Event string
				Problem       Problem
			}
		}
		if json.Unmarshal(content, &told) == nil && len(told.Results) == events {
			ended := make([]Result, events)
			for i, each := range told.Results {
				if each.Status == "accepted" {
					ended[i] = Result{ID: each.Event}
				} else {
					problem := each.Problem
					ended[i] = Result{Refused: &problem}
				}
			}
			return ended, nil
		}
	} else if strings.HasPrefix(header.Get("Content-Type"), "application/problem+json") {
		problem := new(Problem)
		if json.Unmarshal(content, problem) == nil {
			return nil, problem
		}
	}
	return nil, &Problem{0, status, "Not a response of this service", fmt.Sprintf("%s answered %d", url, status), ""}
}

// pauseAsked returns how long Retry-After (RFC 9110 §10.2.3) asks to wait. A date is held against the answer's own Date, so
// that it doesn't matter whose clock is right.
func pauseAsked(header http.Header) time.Duration {
	told := header.Get("Retry-After")
	var pause time.Duration
	if seconds, err := strconv.ParseUint(told, 10, 31); err == nil {
		pause = time.Duration(seconds) * time.Second
	} else if until, err := http.ParseTime(told); err == nil {
		if now, err := http.ParseTime(header.Get("Date")); err == nil {
			pause = until.Sub(now)
		}
	}
	if pause < 0 {
		return 0
	}
	if pause > mostAsked {
		return mostAsked
	}
	return pause
}
