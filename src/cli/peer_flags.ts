/**
 * Flags of the sidecars that people come from, each with ours: who types one gets the answer and not only an error.
 * docs/migrating.md has the remarks. Data only; must hold no flag of ours.
 */

/** What takes a peer's flag's place, by its name without dashes. */
export const PEER_FLAGS: Readonly<Record<string, string>> = {
  // prometheus-config-reloader
  "watch-interval": "--interval here",
  "reload-method": "--trigger here, http or signal",
  "runtimeinfo-url": "--reload-url here",
  "process-executable-name": "--process-name here",
  "listen-address": "--metrics-port and --metrics-host here",
  "web-config-file": "--tls-cert-file, --tls-key-file and --auth-file here",
  "statefulset-ordinal-from-envvar": "not needed here, set the variable from the pod's label",
  "auto-gomemlimit-ratio": "not needed here",
  // Thanos's sidecar
  "reloader.config-file": "--config-file here",
  "reloader.config-envsubst-file": "--config-envsubst-file here",
  "reloader.rule-dir": "--watched-dir here",
  "reloader.watch-interval": "--interval here",
  "reloader.retry-interval": "--retry-interval here",
  "reloader.method": "--trigger here, http or signal",
  "reloader.process-name": "--process-name here",
  // configmap-reload
  "volume-dir": "--watched-dir here",
  "webhook-url": "--trigger http with --trigger-url here",
  "webhook-method": "--trigger-method here",
  "webhook-status-code": "not needed here, any status from 200 to 299 counts",
  "webhook-retries": "not needed here, a failed reload is retried until it succeeds",
  "web.listen-address": "--metrics-port and --metrics-host here",
  "web.telemetry-path": "not needed here, the path is always /metrics",
  // nats-server-config-reloader
  "P": "--pid-file here",
  "c": "--config-file here",
  "config": "--config-file here",
  "max-retries": "not needed here, a failed reload is retried until it succeeds",
  "retry-wait-secs": "--retry-interval here",
};
