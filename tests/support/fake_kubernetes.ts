/**
 * A Kubernetes API server for tests: real HTTPS on a free port, with leases that have the API's `resourceVersion`, events,
 * access reviews, a token that is checked, permissions that can be taken away, and faults.
 */

import type { ApiPlace } from "../../src/fleet/kubernetes_api.ts";
import type { JsonObject } from "../../src/fleet/lease.ts";

/** What happens to a request instead of its answer. */
export type Fault =
  | { readonly is: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Done, and never answered. */
  | { readonly is: "lost" }
  /** Not done, and never answered. */
  | { readonly is: "hang" }
  | { readonly is: "body"; readonly body: string };

/** One request, as a Role names it. */
export interface Asked {
  readonly verb: string;
  readonly resource: string;
  readonly body: JsonObject | null;
}

/** The server. */
export interface FakeKubernetes extends AsyncDisposable {
  readonly place: ApiPlace;
  readonly asked: readonly Asked[];
  readonly events: readonly JsonObject[];
  lease(name: string): JsonObject | null;
  /** As `kubectl annotate --overwrite` does. */
  annotate(name: string, values: Readonly<Record<string, string>>): void;
  deleteLease(name: string): void;
  /** Verbs that are not allowed, as `update leases`. */
  readonly forbidden: Set<string>;
  /** Looked at for each request; null: none. */
  fault: ((asked: Asked) => Fault | null) | null;
  /** Only this token is accepted from now on; the kubelet writes it unless told otherwise. */
  rotateToken(token: string, options?: { readonly isWritten: boolean }): Promise<void>;
}

const TLS = new URL("../testdata/tls/", import.meta.url);

/** Starts the server with the service account of a pod in namespace `team`. */
export async function startFakeKubernetes(): Promise<FakeKubernetes> {
  const accountDir = await Deno.makeTempDir({ prefix: "account-" });
  await Deno.copyFile(new URL("ca.pem", TLS), `${accountDir}/ca.crt`);
  await Deno.writeTextFile(`${accountDir}/namespace`, "team");
  await Deno.writeTextFile(`${accountDir}/token`, "token-1\n");
  const leases = new Map<string, JsonObject>();
  const events: JsonObject[] = [];
  const asked: Asked[] = [];
  const forbidden = new Set<string>();
  const hanging = new Set<() => void>();
  let token = "token-1";
  let version = 0;

  const json = (status: number, body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    new Response(JSON.stringify(body), {
      status,
      headers: { "content-type": "application/json", ...headers },
    });
  const failure = (code: number, message: string) => json(code, { kind: "Status", code, message });
  const hang = () => new Promise<Response>((resolve) => hanging.add(() => resolve(failure(503, "the end"))));

  function store(name: string, object: JsonObject): JsonObject {
    version++;
    const metadata = {
      ...object["metadata"] as JsonObject,
      namespace: "team",
      resourceVersion: `${version}`,
    };
    leases.set(name, { ...object, metadata });
    return leases.get(name)!;
  }

  const versionOf = (object: JsonObject | undefined) =>
    (object?.["metadata"] as JsonObject | undefined)?.["resourceVersion"];

  function answer({ verb, resource, body }: Asked, name: string): Response {
    if (forbidden.has(`${verb} ${resource}`)) return failure(403, `cannot ${verb} ${resource}`);
    if (resource === "selfsubjectaccessreviews") {
      const { resourceAttributes } = body!["spec"] as { resourceAttributes: Record<string, string> };
      const allowed = !forbidden.has(`${resourceAttributes["verb"]} ${resourceAttributes["resource"]}`);
      return json(201, { ...body, status: { allowed } });
    }
    if (resource === "events") {
      const { note, reportingInstance } = body as { note: string; reportingInstance: string };
      const isTooLong = new TextEncoder().encode(note).length > 1024 || reportingInstance.length > 128;
      if (isTooLong) return failure(422, "may not be more than that");
      events.push(body!);
      return json(201, body);
    }
    const known = leases.get(verb === "create" ? nameOf(body) : name);
    switch (verb) {
      case "get":
        return known === undefined ? failure(404, `leases "${name}" not found`) : json(200, known);
      case "create":
        return known === undefined ? json(201, store(nameOf(body), body!)) : failure(409, "already exists");
      default:
        if (known === undefined) return failure(404, `leases "${name}" not found`);
        if (versionOf(known) !== versionOf(body!)) return failure(409, "the object has been modified");
        return json(200, store(name, body!));
    }
  }

  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: 0,
    cert: await Deno.readTextFile(new URL("server.pem", TLS)),
    key: await Deno.readTextFile(new URL("server.key", TLS)),
    onListen: () => {},
  }, async (request) => {
    const parts = new URL(request.url).pathname.split("/");
    const verb = { GET: "get", POST: "create", PUT: "update" }[request.method] ?? request.method;
    const text = await request.text();
    const body = text === "" ? null : JSON.parse(text) as JsonObject;
    const resource = parts.find((part) => ["leases", "events", "selfsubjectaccessreviews"].includes(part)) ??
      "";
    const one: Asked = { verb, resource, body };
    asked.push(one);
    const fault = fake.fault?.(one) ?? null;
    if (fault?.is === "status") return json(fault.status, { message: "told to" }, fault.headers);
    if (fault?.is === "body") return new Response(fault.body);
    if (fault?.is === "hang") return await hang();
    if (request.headers.get("authorization") !== `Bearer ${token}`) return failure(401, "Unauthorized");
    const answered = answer(one, parts.at(-1)!);
    return fault?.is === "lost" ? await hang() : answered;
  });

  const fake: FakeKubernetes = {
    place: { url: `https://localhost:${server.addr.port}`, accountDir },
    asked,
    events,
    forbidden,
    fault: null,
    lease: (name) => leases.get(name) ?? null,
    annotate(name, values) {
      const object = leases.get(name)!;
      const metadata = object["metadata"] as JsonObject;
      const annotations = { ...metadata["annotations"] as JsonObject, ...values };
      store(name, { ...object, metadata: { ...metadata, annotations } });
    },
    deleteLease: (name) => void leases.delete(name),
    async rotateToken(next, { isWritten } = { isWritten: true }) {
      token = next;
      if (isWritten) await Deno.writeTextFile(`${accountDir}/token`, next);
    },
    async [Symbol.asyncDispose]() {
      hanging.forEach((end) => end());
      await server.shutdown();
      await Deno.remove(accountDir, { recursive: true });
    },
  };
  return fake;
}

function nameOf(body: JsonObject | null): string {
  return (body?.["metadata"] as JsonObject)["name"] as string;
}
