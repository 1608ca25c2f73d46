/** How a reload ends, and what the log says of it: each outcome, each reason that the app can give. */

import { begun, startAnswers, story } from "./golden.ts";

story("success", {}, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("✅ Reload successful");
});

story("rejected retried fixed", {}, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await scene.swap("REJECT: 1\n");
  await sidecar.logged("next try in 10s");
  sidecar.kill("SIGHUP");
  await sidecar.logged("next try in 20s");
  await scene.swap("version: 1\n");
  await sidecar.logged("✅ Reload successful");
});

story("rejected then reverted", {}, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await scene.swap("REJECT: 1\n");
  await sidecar.logged("next try in 10s");
  await scene.swap("version: 0\n");
  await sidecar.logged("✅ Reload successful");
});

story("rejected for other reasons", {}, async ({ scene, start }) => {
  const amp = await start();
  await begun(amp);
  await scene.app.control({ mode: "rollback" });
  await scene.swap("mode: rollback\n");
  await amp.logged("rolled_back");
  await scene.app.control({ mode: "split" });
  await scene.swap("mode: split\n");
  await amp.logged("split_state");
  await amp.stop();
  await scene.app.control({ mode: "prometheus" });
  const prometheus = await start();
  await begun(prometheus);
  await scene.swap("REJECT: 1\n");
  await prometheus.logged("next try in 10s");
});

story("part needs a restart", { app: { mode: "restart-required" } }, async ({ scene, start }) => {
  const sidecar = await start();
  await begun(sidecar);
  await scene.swap("version: 1\n");
  await sidecar.logged("needs a restart");
});

story("timeout by reason", { app: { mode: "ignore" } }, async ({ scene, start, call }) => {
  await using answers = startAnswers();
  call(`127.0.0.1:${answers.port}`, "STATUS");
  let version = 0;
  /** One sidecar that verifies in one way, and the answers that do not prove a reload. */
  const verify = async (args: string[], cases: [reason: string, answer: () => void | Promise<void>][]) => {
    const sidecar = await start(["--reload-timeout=1s", "--http-timeout=700ms", ...args]);
    await begun(sidecar);
    for (const [reason, answer] of cases) {
      await answer();
      await scene.swap(`version: ${++version}\n`);
      await sidecar.logged(reason);
      await sidecar.metricIs(
        "config_reload_failures_total",
        cases.findIndex(([r]) => r === reason) + 1,
      );
    }
    await sidecar.stop();
  };
  const json = (value: unknown, status = 200) => () => answers.say(JSON.stringify(value), status);
  await verify([], [["attempts is still 0", () => {}]]);
  await verify(["--reload-url", answers.url], [
    ["timed out", () => answers.hang()],
    ["HTTP 404", () => answers.say("nothing here", 404)],
    ["HTTP 503", () => answers.say("busy", 503)],
    ["redirects are not followed", () => answers.redirect("http://elsewhere.example/login?token=SECRET")],
    ["larger than 1 MiB", () => answers.say(`{"status":"${"x".repeat(1_100_000)}"}`)],
    ["connection refused", () => answers.down()],
  ]);
  await verify(["--verify=amp", "--reload-url", answers.url], [
    ["not JSON", () => answers.say("<html>hello</html>")],
    ["not an AMP status", json({ ok: true })],
    ["empty body", () => answers.say("")],
  ]);
  const old =
    "app_config_last_reload_successful 1\napp_config_last_reload_success_timestamp_seconds 1000.5\n";
  await verify(["--verify=prometheus", "--reload-url", answers.url], [
    ["no metric ending in", () => answers.say("up 1\n")],
    ["has not changed", () => answers.say(old)],
  ]);
  await verify(
    ["--verify=json", "--verify-ok=/status=ok", "--verify-token=/version", "--reload-url", answers.url],
    [
      ["there is no /version", json({ status: "ok" })],
      ["--verify-ok does not hold", json({ status: "bad", version: 1 })],
      ["--verify-token has not changed", json({ status: "ok", version: 1 })],
    ],
  );
  await verify(["--verify=http", "--reload-url", answers.url], [[
    "wanted 200",
    () => answers.say("no", 500),
  ]]);
});

story("invalid", {}, async ({ scene, start }) => {
  const yaml = await start(["--validate=yaml"]);
  await begun(yaml);
  await scene.swap("a: [1, 2\npassword: SECRET\n");
  await yaml.logged("waiting until the content changes");
  await scene.swap("a: [1, 2]\n");
  await yaml.logged("✅ Reload successful");
  await yaml.stop();
  const json = await start(["--validate=json", "--reload-on-start=auto"]);
  await json.logged("waiting until the content changes");
  await scene.swap('{"password": "SECRET"}\n');
  await json.logged("✅ Reload successful");
  await scene.swap('{"password": "SECRET",}\n');
  await json.logged("column 23");
});

story("check command", {}, async ({ scene, start }) => {
  const says = await start([
    `--check-command=sh -c "grep -q ^version: $1 || { echo no version; exit 3; }" sh ${scene.file}`,
  ]);
  await begun(says);
  await scene.swap("nothing of the kind\n");
  await says.logged("next try in");
  await says.stop();
  const missing = await start(["--check-command=/nonexistent/checker", "--reload-on-start=auto"]);
  await missing.logged("next try in");
  await missing.stop();
  const slow = await start(["--check-command=sleep 60", "--http-timeout=200ms", "--reload-on-start=auto"]);
  await slow.logged("next try in");
});

story("secrets stay out", {}, async ({ scene, start, call }) => {
  await using answers = startAnswers();
  call(`127.0.0.1:${answers.port}`, "STATUS");
  const url = `http://me:SECRET@127.0.0.1:${answers.port}/status?token=SECRET`;
  const sidecar = await start(["--reload-url", url, "--trigger=http", "--trigger-url", url, "--pid=auto"]);
  await begun(sidecar);
  answers.say("cannot load: line 3", 500);
  await scene.swap("password: SECRET\n");
  await sidecar.logged("next try in 10s");
  await answers.down();
  sidecar.kill("SIGHUP");
  await sidecar.logged("next try in 20s");
});
