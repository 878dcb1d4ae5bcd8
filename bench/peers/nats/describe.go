package nats

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"throng/bench/target"
)

// unknownSync is the durability where no monitoring endpoint was named.
const unknownSync = "sync_interval unknown (no monitoring address)"

// Describe implements target.Target.
func (s *server) Describe(ctx context.Context) (target.Info, error) {
	info := target.Info{
		Kind: "nats", Version: s.admin.ConnectedServerVersion(), Durability: unknownSync,
		Settings: map[string]string{"storage": "file", "replicas": "1"},
	}
	if s.monitor == "" {
		return info, nil
	}
	sync, err := s.monitored(ctx)
	if err != nil {
		return target.Info{}, err
	}
	info.Settings["sync_interval"] = sync
	info.Durability = "sync_interval=" + sync
	return info, nil
}

// varz is what we read of the monitoring endpoint's /varz.
type varz struct {
	ID        string `json:"server_id"`
	JetStream struct {
		Config *struct {
			SyncInterval time.Duration `json:"sync_interval"`
			SyncAlways   bool          `json:"sync_always"`
		} `json:"config"`
	} `json:"jetstream"`
}

const monitorTime = 10 * time.Second // bounds the monitoring endpoint's answer

// monitored asks the monitoring endpoint how often the server syncs, in the words of
// its configuration.
func (s *server) monitored(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, monitorTime)
	defer cancel()
	where := url.URL{Scheme: "http", Host: s.monitor, Path: "/varz"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, where.String(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("monitoring endpoint %s: %w", s.monitor, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the monitoring endpoint: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("monitoring endpoint %s: %s", where.String(), response.Status)
	}
	var v varz
	if err := json.NewDecoder(response.Body).Decode(&v); err != nil {
		return "", fmt.Errorf("monitoring endpoint %s: %w", where.String(), err)
	}
	return v.sync(s.admin.ConnectedServerId())
}

// sync is how often the server syncs, if it is the one that we are connected to.
func (v *varz) sync(id string) (string, error) {
	config := v.JetStream.Config
	switch {
	case v.ID != id:
		return "", fmt.Errorf("the monitoring endpoint is of server %s, the connection to %s", v.ID, id)
	case config == nil:
		return "", fmt.Errorf("server %s runs without JetStream", strconv.Quote(v.ID))
	case config.SyncAlways:
		return "always", nil
	}
	return config.SyncInterval.String(), nil
}
