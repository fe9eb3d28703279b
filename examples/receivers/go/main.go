// Accepts the events of ecs-task-notifier: net/http, and the Go library of Standard Webhooks.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

type event struct {
	Type, ECSTask string // Go matches the names of JSON members without regard to case.
	Data          json.RawMessage
}

var (
	keys    []*standardwebhooks.Webhook
	task    struct{ TaskARN string } // Empty outside ECS.
	waiting = make(chan event, 100)
	mutex   sync.Mutex
	seen    = map[string]time.Time{}
)

// verified says whether one of the keys signed this body within the last five minutes.
func verified(body []byte, headers http.Header) bool {
	for _, key := range keys {
		if key.Verify(body, headers) == nil {
			return true
		}
	}
	return false
}

// accept queues an event that was not seen in the last hour, and says how to answer.
func accept(id string, e event) (string, int) {
	mutex.Lock()
	defer mutex.Unlock()
	if time.Since(seen[id]) < time.Hour {
		return "handled before", http.StatusOK
	}
	select {
	case waiting <- e:
		seen[id] = time.Now()
		time.AfterFunc(time.Hour, func() { mutex.Lock(); delete(seen, id); mutex.Unlock() })
		return "accepted", http.StatusAccepted
	default:
		return "busy", http.StatusServiceUnavailable
	}
}

func notify(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var e event
	switch {
	case r.Method != http.MethodPost:
		http.Error(w, "only POST is accepted here", http.StatusMethodNotAllowed)
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/cloudevents+json"):
		http.Error(w, "the body must be application/cloudevents+json", http.StatusUnsupportedMediaType)
	case err != nil:
		http.Error(w, "the body is too large", http.StatusRequestEntityTooLarge)
	case !verified(body, r.Header):
		http.Error(w, "no signature matches", http.StatusUnauthorized)
	case json.Unmarshal(body, &e) != nil:
		http.Error(w, "not a CloudEvent", http.StatusBadRequest)
	case task.TaskARN != "" && e.ECSTask != task.TaskARN:
		http.Error(w, "the event is for another task", http.StatusMisdirectedRequest)
	default:
		text, status := accept(r.Header.Get("webhook-id"), e)
		http.Error(w, text, status)
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	for _, secret := range strings.Fields(os.Getenv("NOTIFIER_VERIFYING_KEYS")) {
		key, err := standardwebhooks.NewWebhook(secret)
		must(err)
		keys = append(keys, key)
	}
	if uri := os.Getenv("ECS_CONTAINER_METADATA_URI_V4"); uri != "" {
		answer, err := (&http.Client{Timeout: 5 * time.Second}).Get(uri + "/task")
		must(err)
		must(json.NewDecoder(answer.Body).Decode(&task))
	}
	go func() {
		for e := range waiting {
			log.Printf("%s: %s", e.Type, e.Data)
		}
	}()
	http.HandleFunc("/v1.0/notify", notify)
	must((&http.Server{Addr: "127.0.0.1:8080", ReadTimeout: 5 * time.Second}).ListenAndServe())
}
