/**
 * The fields of the Prometheus Operator's objects as its API reference publishes them (monitoring.coreos.com/v1: the types
 * `PodMonitorSpec`, `PodMetricsEndpoint`, `ServiceMonitorSpec`, `Endpoint`, `PrometheusRuleSpec`, `RuleGroup`, `Rule`), for a check
 * where no cluster with these definitions is at hand. Must never hold a field that the reference does not.
 */

const words = (text: string) => text.split(" ");
const METADATA = words("name namespace labels annotations");
const MONITOR = words(
  "sampleLimit targetLimit labelLimit labelNameLengthLimit labelValueLengthLimit jobLabel " +
    "podTargetLabels selector namespaceSelector scrapeProtocols keepDroppedTargets attachMetadata " +
    "scrapeClass bodySizeLimit",
);
const ENDPOINT = words(
  "port targetPort path scheme params interval scrapeTimeout tlsConfig bearerTokenSecret " +
    "honorLabels honorTimestamps trackTimestampsStaleness basicAuth oauth2 authorization " +
    "metricRelabelings relabelings proxyUrl followRedirects enableHttp2 filterRunning",
);

/** Allowed keys by kind and path; `[]` stands for any element of a list. */
const CRD_FIELDS: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  ServiceMonitor: {
    "": ["apiVersion", "kind", "metadata", "spec"],
    "metadata": METADATA,
    "spec": [...MONITOR, "targetLabels", "endpoints"],
    "spec.selector": ["matchLabels", "matchExpressions"],
    "spec.endpoints[]": ENDPOINT,
  },
  PodMonitor: {
    "": ["apiVersion", "kind", "metadata", "spec"],
    "metadata": METADATA,
    "spec": [...MONITOR, "podMetricsEndpoints"],
    "spec.selector": ["matchLabels", "matchExpressions"],
    "spec.podMetricsEndpoints[]": ENDPOINT,
  },
  PrometheusRule: {
    "": ["apiVersion", "kind", "metadata", "spec"],
    "metadata": METADATA,
    "spec": ["groups"],
    "spec.groups[]": ["name", "interval", "rules", "partial_response_strategy", "limit"],
    "spec.groups[].rules[]": ["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"],
  },
};

/** Fields that must be there, by kind. */
export const CRD_REQUIRED: Readonly<Record<string, readonly string[]>> = {
  ServiceMonitor: ["spec.endpoints", "spec.selector"],
  PodMonitor: ["spec.podMetricsEndpoints", "spec.selector"],
  PrometheusRule: ["spec.groups"],
};

/** The keys of `object` that its kind does not have, each as a path; recursion ends where the list above does. */
export function unknownFields(object: Record<string, unknown>): string[] {
  const kind = String(object["kind"]);
  const fields = CRD_FIELDS[kind];
  if (fields === undefined) return [`kind ${kind}`];
  const bad: string[] = [];
  const visit = (value: unknown, path: string) => {
    if (Array.isArray(value)) return value.forEach((item) => visit(item, `${path}[]`));
    const allowed = fields[path];
    if (allowed === undefined || typeof value !== "object" || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      const name = path === "" ? key : `${path}.${key}`;
      if (allowed.includes(key)) visit(inner, name);
      else bad.push(name);
    }
  };
  visit(object, "");
  return bad;
}
