/** `check` with a rollout: each request that the sidecar would make, asked of a real API server. */

import assert from "node:assert/strict";
import { checkKubernetes } from "../../src/commands/check/kubernetes.ts";
import { createTestConfig } from "../support/config.ts";
import { startFakeKubernetes } from "../support/fake_kubernetes.ts";
import { test } from "../support/strict.ts";

const FLEET = createTestConfig({ rollout: "canary", rolloutGroup: "web", kubernetesEvents: true });

test("without the flags the API is not asked", async () => {
  const asked = () => assert.fail("it was asked");
  assert.deepEqual(await checkKubernetes(createTestConfig({}), asked, asked), []);
});

test("each request is asked for; one that is not allowed comes with the rule to paste", async () => {
  await using server = await startFakeKubernetes();
  const check = () => checkKubernetes(FLEET, () => undefined, () => server.place);
  const all = await check();
  assert.deepEqual(all.map(({ level, message }) => `${level} ${message}`), [
    "ok May get leases.coordination.k8s.io config-reloader-web in namespace team",
    "ok May create leases.coordination.k8s.io in namespace team",
    "ok May update leases.coordination.k8s.io config-reloader-web in namespace team",
    "ok May create events.events.k8s.io in namespace team",
  ]);
  assert.deepEqual(
    server.asked.map(({ body }) => (body!["spec"] as Record<string, unknown>)["resourceAttributes"]).at(0),
    {
      namespace: "team",
      verb: "get",
      group: "coordination.k8s.io",
      resource: "leases",
      name: "config-reloader-web",
    },
  );
  server.forbidden.add("update leases");
  const fault = (await check()).find(({ level }) => level === "fault");
  assert.equal(fault?.code, "kubernetes-role");
  assert.equal(
    fault?.fix?.yaml,
    "- apiGroups: [coordination.k8s.io]\n  resources: [leases]\n  resourceNames: [config-reloader-web]\n  verbs: [update]",
  );
});

test("an API that cannot be asked is one fault, with the way out", async () => {
  await using server = await startFakeKubernetes();
  await Deno.remove(`${server.place.accountDir}/token`);
  const [fault, ...others] = await checkKubernetes(FLEET, () => undefined, () => server.place);
  assert.deepEqual(others, []);
  assert.match(
    fault!.message,
    /^Cannot ask the Kubernetes API: cannot read .*without it nothing is ever reloaded$/,
  );
  assert.match(fault!.fix!.yaml!, /components\/rollout/);
  const outside = await checkKubernetes(FLEET, () => undefined);
  assert.match(outside[0]!.message, /KUBERNETES_SERVICE_HOST and _PORT are not set/);
});
