package pipeline_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tsgo/tsgo/pkg/archive"
	"github.com/tsgo/tsgo/pkg/model"
	"github.com/tsgo/tsgo/pkg/pipeline"
)

func TestSettingsOf(t *testing.T) {
	t.Parallel()
	manifest := archive.Manifest{
		Name: "model", Version: "1.0", Handler: "text_classifier", Runtime: "python3", MinWorkers: 1, MaxWorkers: 2, BatchSize: 3, QueueSize: 4,
		MaxBatchDelay: time.Second, ResponseTimeout: 2 * time.Second, StartupTimeout: 3 * time.Second, ClientTimeout: 4 * time.Second,
	}
	want := model.Settings{
		Handler: "text_classifier", Runtime: "python3", MinWorkers: 1, MaxWorkers: 2, BatchSize: 3, QueueSize: 4,
		MaxBatchDelay: time.Second, ResponseTimeout: 2 * time.Second, StartupTimeout: 3 * time.Second, MaxQueueDelay: 4 * time.Second,
	}
	if diff := cmp.Diff(want, pipeline.SettingsOf(manifest)); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	bare := pipeline.SettingsOf(archive.Manifest{Name: "model", Version: "1.0", Guessed: true})
	if diff := cmp.Diff(model.Settings{Handler: pipeline.GuessedHandler}, bare); diff != "" {
		t.Errorf("settings of a bare network (-want +got):\n%s", diff)
	}
}
