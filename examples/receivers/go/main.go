// Accepts the events of ecs-task-notifier: net/http (Go 1.22), and the Go library of Standard Webhooks.
package main

import (
	"cmp"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type event struct {
	Type, ECSTask string // Go matches the names of JSON members without regard to case.
	Data          json.RawMessage
	Question      bool
	ExpiryTime    time.Time
	traceID       string
}

var (
	keys    []*standardwebhooks.Webhook
	task    struct{ TaskARN string } // Empty outside ECS.
	waiting = make(chan event, 100)
	mutex   sync.Mutex
	seen    = map[string]bool{} // Ids accepted in the last hour.
	// The header is not signed, so its form is checked.
	traceparent = regexp.MustCompile(`^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$`)
)

// accept queues a new event, and returns the status to answer.
func accept(id string, e event) int {
	mutex.Lock()
	defer mutex.Unlock()
	if seen[id] {
		return http.StatusOK
	}
	select {
	case waiting <- e:
		seen[id] = true
		time.AfterFunc(time.Hour, func() { mutex.Lock(); delete(seen, id); mutex.Unlock() })
		return http.StatusAccepted
	default:
		return http.StatusServiceUnavailable
	}
}

// status returns the answer to a question. It changes nothing: a question may come again.
func status() []byte {
	return must(json.Marshal(map[string]any{"version": cmp.Or(os.Getenv("VERSION"), "unknown"), "waiting": len(waiting)}))
}

// judge returns the status to answer to a request with this body, and the answer if it is a question.
func judge(body []byte, header http.Header) (int, []byte) {
	var e event
	signed := func(key *standardwebhooks.Webhook) bool { return key.Verify(body, header) == nil }
	switch {
	case !slices.ContainsFunc(keys, signed): // Signed by none of the keys within the last five minutes.
		return http.StatusUnauthorized, nil
	case json.Unmarshal(body, &e) != nil:
		return http.StatusBadRequest, nil
	case task.TaskARN != "" && e.ECSTask != task.TaskARN:
		return http.StatusMisdirectedRequest, nil
	case e.Question && !e.ExpiryTime.IsZero() && time.Since(e.ExpiryTime) > 30*time.Second: // Clocks may differ.
		return http.StatusBadRequest, nil
	case e.Question:
		return http.StatusOK, status()
	}
	if parts := traceparent.FindStringSubmatch(header.Get("traceparent")); parts != nil {
		e.traceID = parts[1]
	}
	return accept(header.Get("webhook-id"), e), nil
}

func notify(w http.ResponseWriter, r *http.Request) {
	status, answer := http.StatusUnsupportedMediaType, []byte(nil)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/cloudevents+json") {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if status = http.StatusRequestEntityTooLarge; err == nil {
			status, answer = judge(body, r.Header)
		}
	}
	if answer != nil {
		w.Header().Set("Content-Type", "application/json")
		w.Write(answer)
		return
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	http.Error(w, http.StatusText(status), status)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	for _, secret := range strings.Fields(os.Getenv("NOTIFIER_VERIFYING_KEYS")) {
		keys = append(keys, must(standardwebhooks.NewWebhook(secret)))
	}
	if uri := os.Getenv("ECS_CONTAINER_METADATA_URI_V4"); uri != "" {
		answer := must((&http.Client{Timeout: 5 * time.Second}).Get(uri + "/task"))
		must(task, json.NewDecoder(answer.Body).Decode(&task))
	}
	go func() {
		for e := range waiting {
			log.Printf("trace_id=%s %s: %s", cmp.Or(e.traceID, "-"), e.Type, e.Data)
		}
	}()
	http.HandleFunc("POST /v1.0/notify", notify) // The server answers 405 to any other method.
	address := "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "8080")
	must(0, (&http.Server{Addr: address, ReadTimeout: 5 * time.Second}).ListenAndServe())
}
