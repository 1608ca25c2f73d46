/** The API client against a real HTTPS server: credentials read afresh, limits, and every refusal with its way out. */

import assert from "node:assert/strict";
import {
  CREATE_EVENT,
  createKubernetesApi,
  findApi,
  type KubernetesApi,
  leaseRequests,
} from "../../src/fleet/kubernetes_api.ts";
import { createLeaseClient } from "../../src/fleet/fleet.ts";
import type { SendRequest } from "../../src/fleet/rollout.ts";
import { freeTrial, NO_LEASE, type Trial, withCurrent } from "../../src/fleet/lease.ts";
import { type FakeKubernetes, startFakeKubernetes } from "../support/fake_kubernetes.ts";
import { test } from "../support/strict.ts";

const DIGEST = "a".repeat(64);
const NO_VARIABLES = () => undefined;
const TRYING: Trial = { ...freeTrial(DIGEST), state: "trying", pod: "web-1" };

interface Bench extends AsyncDisposable {
  readonly server: FakeKubernetes;
  readonly api: KubernetesApi;
  readonly send: SendRequest;
  readonly errors: () => number;
}

async function bench(timeoutMs = 5_000): Promise<Bench> {
  const server = await startFakeKubernetes();
  const api = createKubernetesApi(NO_VARIABLES, timeoutMs, () => server.place);
  let errors = 0;
  const send = createLeaseClient(api, "web", 30_000, () => 1_700_000_000_123, () => errors++);
  return {
    server,
    api,
    send,
    errors: () => errors,
    async [Symbol.asyncDispose]() {
      api.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** A port where nobody listens. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** The words of a request that failed. */
async function failure({ send }: Bench): Promise<string> {
  const event = await send({ is: "read" });
  assert.equal(event.is, "failed");
  return event.is === "failed" ? event.message : "";
}

test("a Lease is created, read and updated; of two writes from one reading the second is refused", async () => {
  await using b = await bench();
  assert.deepEqual(await b.send({ is: "read" }), { is: "read", lease: null });
  const created = await b.send({ is: "write", lease: withCurrent(NO_LEASE, TRYING) });
  assert.ok(created.is === "written");
  assert.deepEqual(created.lease.current, { ...TRYING, renewTime: "2023-11-14T22:13:20.123000Z" });
  const { metadata, spec } = b.server.lease("config-reloader-web") as {
    metadata: Record<string, unknown>;
    spec: Record<string, unknown>;
  };
  assert.equal(metadata["namespace"], "team");
  assert.deepEqual(metadata["annotations"], {
    "config-reloader/hash": DIGEST,
    "config-reloader/state": "trying",
    "config-reloader/pod": "web-1",
  });
  assert.deepEqual(spec, {
    holderIdentity: "web-1",
    acquireTime: "2023-11-14T22:13:20.123000Z",
    renewTime: "2023-11-14T22:13:20.123000Z",
    leaseDurationSeconds: 30,
  });
  const again = { is: "write", lease: withCurrent(created.lease, { ...TRYING, state: "proved" }) } as const;
  assert.equal((await b.send(again)).is, "written");
  assert.equal((await b.send(again)).is, "refused");
  const new_ = { is: "write", lease: withCurrent(NO_LEASE, TRYING) } as const;
  assert.equal((await b.send(new_)).is, "refused", "a POST of what is there: 409");
  b.server.deleteLease("config-reloader-web");
  assert.equal((await b.send(again)).is, "refused", "a PUT of what was deleted: 404");
  assert.equal(b.errors(), 0, "a refusal by version is no failure");
});

test("the token is read for each request, so one that was rotated is used at once", async () => {
  await using b = await bench();
  assert.equal((await b.send({ is: "read" })).is, "read");
  await b.server.rotateToken("token-2");
  assert.equal((await b.send({ is: "read" })).is, "read");
  await b.server.rotateToken("token-3", { isWritten: false });
  assert.match(
    await failure(b),
    /does not accept the pod's token \(401\) to get leases\.coordination\.k8s\.io/,
  );
  await Deno.writeTextFile(`${b.server.place.accountDir}/token`, "token-3");
  assert.equal((await b.send({ is: "read" })).is, "read");
});

test("a CA that was rotated is used at once; another one is told as what it is", async () => {
  await using b = await bench();
  const path = `${b.server.place.accountDir}/ca.crt`;
  const good = await Deno.readTextFile(path);
  await Deno.copyFile(new URL("../testdata/tls/other.pem", import.meta.url), path);
  assert.match(await failure(b), /cannot be reached: certificate/);
  await Deno.writeTextFile(path, "nonsense");
  assert.match(await failure(b), /ca\.crt holds no certificate that can be read|unknown authority/);
  await Deno.writeTextFile(path, good);
  assert.equal((await b.send({ is: "read" })).is, "read");
});

test("a service account that is not mounted is told with the way out", async () => {
  await using b = await bench();
  await Deno.remove(`${b.server.place.accountDir}/token`);
  assert.match(
    await failure(b),
    /cannot read \S+\/token: no such file; the sidecar needs its service account mounted/,
  );
  await Deno.writeTextFile(`${b.server.place.accountDir}/token`, "");
  assert.match(await failure(b), /token is empty/);
});

test("403 names the verb that the Role lacks, for each request", async () => {
  await using b = await bench();
  b.server.forbidden.add("get leases");
  assert.match(
    await failure(b),
    /may not get leases\.coordination\.k8s\.io config-reloader-web in namespace team \(403\): its Role lacks the verb "get"/,
  );
  b.server.forbidden.add("create leases").add("update leases");
  const create = await b.send({ is: "write", lease: withCurrent(NO_LEASE, TRYING) });
  assert.match(create.is === "failed" ? create.message : "", /lacks the verb "create"/);
  const update = await b.send({ is: "write", lease: { ...NO_LEASE, object: {} } });
  assert.match(update.is === "failed" ? update.message : "", /lacks the verb "update"/);
  assert.equal(b.errors(), 3);
});

test("429 keeps its Retry-After, 5xx what the server says, nonsense is none that can be used", async () => {
  await using b = await bench();
  b.server.fault = () => ({ is: "status", status: 429, headers: { "retry-after": "7" } });
  assert.deepEqual(await b.send({ is: "read" }), {
    is: "failed",
    message: "the Kubernetes API asks to wait (429) before it will " +
      "get leases.coordination.k8s.io config-reloader-web in namespace team",
    retryAfterMs: 7_000,
  });
  b.server.fault = () => ({ is: "status", status: 500 });
  assert.match(await failure(b), /answers 500 to get .*: told to/);
  b.server.fault = () => ({ is: "body", body: "<html>" });
  assert.match(await failure(b), /answers 200 to get/);
  b.server.fault = () => ({ is: "body", body: " ".repeat(2_000_000) });
  assert.match(await failure(b), /more than 1 MiB/);
});

test("a server that hangs or is not there ends the request in its time", async () => {
  await using b = await bench(300);
  b.server.fault = () => ({ is: "hang" });
  assert.match(await failure(b), /cannot be reached: timed out after 300ms/);
  const nobody = createKubernetesApi(
    NO_VARIABLES,
    1_000,
    () => ({ ...b.server.place, url: `https://127.0.0.1:${closedPort()}` }),
  );
  const { status, refusal } = await nobody.request(leaseRequests("x").get);
  assert.equal(status, 0);
  assert.match(refusal, /127\.0\.0\.1:\d+ cannot be reached: connection refused/);
  nobody.close();
});

test("the namespace: from the variable, else of the service account", async () => {
  await using server = await startFakeKubernetes();
  const ask = async (value: string | undefined, accountDir = server.place.accountDir) => {
    const env = (name: string) => name === "POD_NAMESPACE" ? value : undefined;
    const api = createKubernetesApi(env, 500, () => ({ ...server.place, accountDir }));
    const { what, refusal } = await api.mayI(CREATE_EVENT);
    api.close();
    return refusal ?? what;
  };
  const namespaceOf = async (value: string | undefined) => (await ask(value)).split(" ").at(-1);
  assert.deepEqual([await namespaceOf("shop"), await namespaceOf(""), await namespaceOf(undefined)], [
    "shop",
    "team",
    "team",
  ]);
  assert.match(await ask(undefined, "/nowhere"), /^cannot read \/nowhere\/namespace: no such file; /);
});

test("the API server is where the pod's variables say, IPv6 too; outside of a pod there is none", () => {
  const env = (host: string | undefined) => (name: string) =>
    ({ KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: "443" })[name];
  assert.equal(findApi(env("10.0.0.1")).url, "https://10.0.0.1:443");
  assert.equal(findApi(env("fd00::1")).url, "https://[fd00::1]:443");
  assert.throws(() => findApi(env(undefined)), /KUBERNETES_SERVICE_HOST and _PORT are not set/);
});
