// Package deploy has no code. Its tests read the files of this directory as the programs do that they are for: Docker,
// Compose, Helm, Kubernetes, KServe, Prometheus and Grafana. They run every query against what a real server tells of itself.
// It is a module of its own so that those programs' libraries are no dependencies of tsgo.
package deploy
