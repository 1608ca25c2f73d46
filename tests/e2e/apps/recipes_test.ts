/**
 * docs/recipes.md with the real programs: the arguments of the program and of the sidecar are those of the page, with
 * its mount and its ports replaced by those of the test. Good content is applied and proved as the page says, bad content
 * ends as it says, and what it says to be impossible is.
 */

import assert from "node:assert/strict";
import { parse } from "yaml";
import {
  ALWAYS,
  type App,
  type AppRecipe,
  beside,
  ended,
  QUICK,
  startApp,
  successes,
} from "../../support/apps.ts";
import { until } from "../../support/poll.ts";
import { freePort, get, type Sidecar } from "../../support/scene.ts";
import { test } from "../../support/strict.ts";

const PAGE = Deno.readTextFileSync(new URL("../../../docs/recipes.md", import.meta.url));

/** The user that starts what refuses to be root. */
const NOBODY = { uid: 65534, gid: 65534 };

interface Container {
  readonly args: readonly string[];
  readonly volumeMounts: readonly { readonly mountPath: string }[];
}

/** The two containers of a recipe's pod. */
function podOf(heading: string): { app: Container; sidecar: Container } {
  const section = PAGE.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  const block = /```yaml\n([\s\S]*?)```/.exec(section ?? "")?.[1];
  assert.ok(block, `docs/recipes.md has no pod for ${heading}`);
  const { spec } = parse(block);
  assert.equal(spec.shareProcessNamespace, true);
  const [app, sidecar] = spec.containers;
  assert.equal(sidecar.name, "config-reloader");
  return { app, sidecar };
}

/** One of PostgreSQL's programs, which Debian keeps off the path. */
function postgres(program: string): string {
  const root = "/usr/lib/postgresql";
  try {
    for (const { name } of Deno.readDirSync(root)) return `${root}/${name}/bin/${program}`;
  } catch { /* not there */ }
  return `${root}/15/bin/${program}`;
}

/** Another way to do the same: flags that are put on top, and do not name the program where it is told by HTTP. */
interface Variant {
  readonly name: string;
  readonly byHttp?: boolean;
  readonly flags: (url: string) => string[];
}

const BY_HTTP: Variant = {
  name: "by HTTP",
  byHttp: true,
  flags: (url) => ["--trigger", "http", "--trigger-url", `${url}/-/reload`],
};

interface Case {
  readonly heading: string;
  readonly program: string;
  readonly from?: string;
  /** Port of the page that the test replaces by its own. */
  readonly pagePort: number;
  readonly key: string;
  /** Flags that the test needs on top: ports, places to write to. */
  readonly more: (dir: string, port: number) => string[];
  /** Content by its label; `BAD` is refused. */
  readonly content: (label: string, dir: string, port: number) => string;
  readonly ready: AppRecipe["ready"];
  readonly user?: AppRecipe["user"];
  /** What has to be there before it starts. */
  readonly prepare?: (dir: string) => void;
  /** How it is proved; the first of two where both may come. */
  readonly proof: readonly string[];
  /** How bad content ends; null where nobody can say. */
  readonly bad: "rejected" | "timeout" | null;
  /** What else is tried, beside what the page has. */
  readonly variants?: readonly Variant[];
  /** Whether the program itself says that it runs this content. */
  readonly runs: (app: App, label: string) => Promise<boolean>;
}

const CASES: readonly Case[] = [
  {
    heading: "Prometheus",
    program: "prometheus",
    pagePort: 9090,
    key: "prometheus.yml",
    more: (dir, port) => [
      `--storage.tsdb.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--web.enable-lifecycle",
    ],
    content: (label) =>
      label === "BAD"
        ? "global: ]["
        : `global: { scrape_interval: 1h, external_labels: { version: ${label} } }`,
    ready: "/-/ready",
    proof: ["time"],
    bad: "rejected",
    variants: [
      BY_HTTP,
      { name: "asked by its metrics", flags: (url) => ["--reload-url", `${url}/metrics`] },
      {
        name: "asked by its metrics, of that format alone",
        flags: (url) => ["--reload-url", `${url}/metrics`, "--verify", "prometheus"],
      },
    ],
    runs: async ({ url }, label) => (await get(`${url}/api/v1/status/config`)).includes(`version: ${label}`),
  },
  {
    heading: "Alertmanager",
    program: "prometheus-alertmanager",
    pagePort: 9093,
    key: "alertmanager.yml",
    more: (dir, port) => [
      `--storage.path=${dir}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--cluster.listen-address=",
    ],
    content: (label) =>
      label === "BAD" ? "route: ][" : `{ route: { receiver: ${label} }, receivers: [{ name: ${label} }] }`,
    ready: "/-/ready",
    proof: ["time"],
    bad: "rejected",
    runs: async ({ url }, label) => (await get(`${url}/api/v2/status`)).includes(`receiver: ${label}`),
  },
  {
    heading: "blackbox_exporter",
    program: "prometheus-blackbox-exporter",
    pagePort: 9115,
    key: "blackbox.yml",
    more: (_dir, port) => [`--web.listen-address=127.0.0.1:${port}`],
    content: (label) => label === "BAD" ? "modules: ][" : `modules: { ${label}: { prober: tcp } }`,
    ready: "/-/healthy",
    proof: ["time"],
    bad: "rejected",
    runs: async ({ url }, label) => (await get(`${url}/config`)).includes(`${label}:`),
  },
  {
    heading: "vmalert",
    program: "vmalert",
    from: "the package victoria-metrics",
    pagePort: 8880,
    key: "rules.yml",
    more: (_dir, port) => [`-httpListenAddr=127.0.0.1:${port}`, "-evaluationInterval=200ms"],
    content: (label) =>
      label === "BAD"
        ? "groups: ]["
        : `groups: [{ name: all, rules: [{ alert: ${label}, expr: "up == 0" }] }]`,
    ready: "/health",
    // Its time is in whole seconds: two loads in one are told apart by the count.
    proof: ["time", "counter"],
    bad: "rejected",
    variants: [BY_HTTP],
    runs: async ({ url }, label) => (await get(`${url}/api/v1/rules`)).includes(`"${label}"`),
  },
  {
    heading: "vmagent",
    program: "vmagent",
    from: "go install github.com/VictoriaMetrics/VictoriaMetrics/app/vmagent@v1.93.5",
    pagePort: 8429,
    key: "scrape.yml",
    more: (dir, port) => [`-httpListenAddr=127.0.0.1:${port}`, `-remoteWrite.tmpDataPath=${dir}/data`],
    content: (label) =>
      `scrape_configs: ${
        label === "BAD" ? "][" : `[{ job_name: ${label}, static_configs: [{ targets: ["127.0.0.1:1"] }] }]`
      }`,
    ready: "/health",
    // Its time is in whole seconds: two loads in one are told apart by the count.
    proof: ["time", "counter"],
    bad: "rejected",
    variants: [BY_HTTP],
    runs: async ({ url }, label) => (await get(`${url}/targets`)).includes(label),
  },
  {
    heading: "nginx",
    program: "nginx",
    pagePort: 8080,
    key: "nginx.conf",
    more: (dir) => ["-c", `${dir}/volume/nginx.conf`, "-p", dir, "-e", "stderr"],
    content: (label, dir, port) => `
      pid ${dir}/nginx.pid;
      error_log stderr notice;
      worker_processes 1;
      ${label === "BAD" ? "no_such_directive on;" : ""}
      events { worker_connections 64; }
      http {
        access_log off;
        client_body_temp_path ${dir}/tmp; proxy_temp_path ${dir}/tmp; fastcgi_temp_path ${dir}/tmp;
        uwsgi_temp_path ${dir}/tmp; scgi_temp_path ${dir}/tmp;
        server {
          listen 127.0.0.1:${port};
          location = /config { default_type application/json; return 200 '{"worker":$pid}'; }
          location = /version { return 200 ${label}; }
        }
      }`,
    ready: "/config",
    proof: ["token"],
    bad: "timeout",
    runs: async ({ url }, label) => (await get(`${url}/version`)) === label,
  },
  {
    heading: "HAProxy",
    program: "haproxy",
    pagePort: 8404,
    key: "haproxy.cfg",
    more: () => [],
    content: (label, _dir, port) => `
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
${label === "BAD" ? "no_such_section" : "frontend status"}
  bind 127.0.0.1:${port}
  http-request return status 200 content-type text/plain string "${label}" if { path /version }
  http-request return status 200 content-type application/json lf-string '{"worker":%pid}'
`,
    ready: "/worker",
    proof: ["token"],
    bad: "timeout",
    runs: async ({ url }, label) => (await get(`${url}/version`)) === label,
  },
  {
    heading: "NATS",
    program: "nats-server",
    pagePort: 8222,
    key: "nats.conf",
    more: () => [],
    content: (label) =>
      label === "BAD" ? "max_payload: [" : `port: -1\nmax_payload: ${1024 + Number(label.slice(1))}\n`,
    ready: "/varz",
    proof: ["token"],
    bad: "timeout",
    runs: async ({ url }, label) =>
      JSON.parse(await get(`${url}/varz`)).max_payload === 1024 + Number(label.slice(1)),
  },
  {
    heading: "Caddy",
    program: "caddy",
    pagePort: 2019,
    key: "Caddyfile",
    more: () => [],
    content: (label, dir, port) =>
      label === "BAD"
        ? "{ ]["
        : `{\n admin 127.0.0.1:${port}\n storage file_system ${dir}/data\n}\nhttp://127.0.0.1:${
          port + 1
        } {\n respond ${label}\n}\n`,
    ready: "/config/",
    proof: ["token"],
    bad: "timeout",
    runs: async ({ url }, label) => (await get(`${url}/config/`)).includes(`"body":"${label}"`),
  },
  {
    heading: "PostgreSQL",
    program: postgres("postgres"),
    pagePort: 0,
    key: "postgresql.conf",
    // The image gives it by PGDATA.
    more: (dir) => ["-D", `${dir}/data`],
    content: (label, _dir, port) =>
      `listen_addresses = '127.0.0.1'\nport = ${port}\n` +
      `unix_socket_directories = ''\nwork_mem = '${1_000 + Number(label.slice(1))}kB'\n`,
    prepare: (dir) => {
      Deno.mkdirSync(`${dir}/data`);
      Deno.chownSync(`${dir}/data`, NOBODY.uid, NOBODY.gid);
      const args = ["-D", `${dir}/data`, "--no-locale", "-A", "trust", "-N"];
      const { success, stderr } = new Deno.Command(postgres("initdb"), { args, cwd: dir, ...NOBODY })
        .outputSync();
      if (!success) throw new Error(new TextDecoder().decode(stderr));
    },
    ready: ({ log }) => Promise.resolve(/ready to accept connections/.test(log())),
    user: NOBODY,
    proof: ["delivered"],
    bad: null,
    runs: (app, label) =>
      Promise.resolve(app.log().includes(`"work_mem" changed to "${1_000 + Number(label.slice(1))}kB"`)),
  },
  {
    heading: "PgBouncer",
    program: "pgbouncer",
    pagePort: 0,
    key: "pgbouncer.ini",
    more: () => [],
    content: (label, dir, port) =>
      `[databases]\n${label} = host=127.0.0.1\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = ${port}\n` +
      `unix_socket_dir =\nauth_type = any\nlogfile =\npidfile =\n; ${dir}\n`,
    ready: ({ log }) => Promise.resolve(/process up/.test(log())),
    user: NOBODY,
    proof: ["delivered"],
    bad: null,
    runs: (app) => Promise.resolve(/got SIGHUP, re-reading config/.test(app.log())),
  },
];

/** A container's arguments as the test runs them. */
function ours(container: Container, dir: string, pagePort: number, port: number): string[] {
  const [{ mountPath } = { mountPath: "" }] = container.volumeMounts;
  return container.args.map((arg) =>
    arg.replace(mountPath, `${dir}/volume`)
      .replace(`localhost:${pagePort}`, `127.0.0.1:${port}`)
      .replace(new RegExp(`^${pagePort}$`), String(port))
  );
}

const AS_ON_THE_PAGE: Variant = { name: "as on the page", flags: () => [] };

/** The sidecar's arguments of the page, with what the variant puts in their place. */
function argsOf(of: Case, sidecar: Container, app: App, { byHttp, flags }: Variant): string[] {
  const own = flags(app.url);
  const page = ours(sidecar, app.dir, of.pagePort, app.port).filter((arg) =>
    !["--process-name", ...own].includes(arg.split("=")[0]!)
  );
  return [...page, ...own, ...(byHttp ? [] : ["--process-name", app.name])];
}

async function start(of: Case, app: Container): Promise<App> {
  return await startApp({
    program: of.program,
    ...(of.from !== undefined && { from: of.from }),
    key: of.key,
    payload: (dir, port) => {
      Deno.mkdirSync(`${dir}/tmp`);
      of.prepare?.(dir);
      return { [of.key]: of.content("v0", dir, port) };
    },
    args: (_file, dir, port) => {
      const args = ours(app, dir, of.pagePort, port);
      // The images' entry points take the program's name as the first argument.
      if (args[0] === of.program) args.shift();
      return [...args, ...of.more(dir, port)];
    },
    ready: of.ready,
    ...(of.user && { user: of.user }),
  });
}

/** Good content, for some a comment more, bad content, the way back, and good content again. */
async function changes(of: Case, app: App, sidecar: Sidecar): Promise<void> {
  let good = 0;
  const apply = async (label: string, comment = "") => {
    app.volume.swap({ [of.key]: comment + of.content(label, app.dir, app.port) });
    await successes(sidecar, ++good);
    await runs(label);
  };
  const runs = (label: string) => until(`${of.heading} runs ${label}`, () => of.runs(app, label));
  await apply("v1");
  const metrics = await get(`http://127.0.0.1:${sidecar.port}/metrics`);
  const [, proof] = /config_reload_proof_info\{kind="(.+)"\} 1/.exec(metrics) ?? [];
  assert.ok(of.proof.includes(proof!), proof);
  const comment = of.bad === "rejected" ? "# a comment more\n" : "";
  if (comment !== "") await apply("v1", comment);
  if (of.bad !== null) {
    app.volume.swap({ [of.key]: of.content("BAD", app.dir, app.port) });
    await ended(sidecar, of.bad);
    assert.ok(app.isAlive());
    await runs("v1");
    await apply("v1", comment);
  }
  await apply("v2");
  if (of.bad === "rejected") {
    await sidecar.logged("Reload rejected by the app: ");
    assert.equal(await sidecar.metric('config_reload_outcomes_total{outcome="timeout"}'), 0);
  }
}

for (const of of CASES) {
  for (const variant of [AS_ON_THE_PAGE, ...of.variants ?? []]) {
    test(`recipe ${of.heading}, ${variant.name}: good, ${of.bad === null ? "" : "bad, back, "}good`, async () => {
      const pod = podOf(of.heading);
      await using app = await start(of, pod.app);
      const args = [...argsOf(of, pod.sidecar, app, variant), ...["--reload-timeout", "6s"], ...QUICK];
      await beside(app, args, (sidecar) => changes(of, app, sidecar));
    });
  }
}

test("recipe Prometheus: several reloads within a second of its clock are each proved", async () => {
  const [of] = CASES as [Case];
  const pod = podOf(of.heading);
  await using app = await start(of, pod.app);
  const args = [...argsOf(of, pod.sidecar, app, AS_ON_THE_PAGE), ...QUICK, "--min-reload-interval", "0s"];
  await beside(app, args, async (sidecar) => {
    for (let i = 1; i <= 6; i++) {
      app.volume.swap({ [of.key]: of.content(`v${i}`, app.dir, app.port) });
      await successes(sidecar, i);
      assert.ok(await of.runs(app, `v${i}`));
    }
    assert.equal(await sidecar.metric("config_reload_failures_total"), 0);
  });
});

test("recipe Prometheus: a second bad configuration in a row is rejected too, before the timeout", async () => {
  const [of] = CASES as [Case];
  const pod = podOf(of.heading);
  await using app = await start(of, pod.app);
  const byMetrics: Variant = {
    name: "",
    flags: (url) => ["--reload-url", `${url}/metrics`, "--retry-interval", "5m"],
  };
  await beside(app, [...argsOf(of, pod.sidecar, app, byMetrics), ...ALWAYS], async (sidecar) => {
    for (const count of [1, 2]) {
      app.volume.swap({ [of.key]: `# ${count}\nglobal: ][` });
      await sidecar.metricIs('config_reload_outcomes_total{outcome="rejected"}', count);
    }
    assert.equal(await sidecar.metric('config_reload_outcomes_total{outcome="timeout"}'), 0);
    app.volume.swap({ [of.key]: of.content("v1", app.dir, app.port) });
    await successes(sidecar, 1);
  });
});

test("recipe dnsmasq: hosts files are read again, dnsmasq.conf is not", async () => {
  const pod = podOf("dnsmasq");
  const config = (address: string, port: number) =>
    `port=${port}\nno-resolv\nno-hosts\nlisten-address=127.0.0.1\nbind-interfaces\naddress=/conf.test/${address}\n`;
  await using app = await startApp({
    program: "dnsmasq",
    key: "hosts",
    payload: (dir, port) => {
      Deno.writeTextFileSync(`${dir}/dnsmasq.conf`, config("10.0.0.1", port));
      return { hosts: "10.0.0.1 hosts.test\n" };
    },
    args: (
      _file,
      dir,
    ) => [...ours(pod.app, dir, 0, 0), "-C", `${dir}/dnsmasq.conf`, "-u", "root", "--log-facility=-"],
    ready: ({ log }) => Promise.resolve(/read .*hosts/.test(log())),
  });
  const nameServer = { ipAddr: "127.0.0.1", port: app.port };
  const addressOf = async (name: string) => (await Deno.resolveDns(name, "A", { nameServer }))[0];
  assert.deepEqual([await addressOf("hosts.test"), await addressOf("conf.test")], ["10.0.0.1", "10.0.0.1"]);
  const args = [...ours(pod.sidecar, app.dir, 0, 0), "--process-name", app.name, ...QUICK];
  await beside(app, args, async (sidecar) => {
    Deno.writeTextFileSync(`${app.dir}/dnsmasq.conf`, config("10.0.0.2", app.port));
    app.volume.swap({ hosts: "10.0.0.2 hosts.test\n" });
    await successes(sidecar, 1);
    await until("the hosts file read again", async () => await addressOf("hosts.test") === "10.0.0.2");
    assert.equal(await addressOf("conf.test"), "10.0.0.1");
  });
});

test("recipe rsyslog: SIGHUP changes nothing of its configuration", async () => {
  const other = freePort();
  const config = (port: number, dir: string) =>
    `global(processInternalMessages="on")\nmodule(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="${port}")\n*.* ${dir}/out\n`;
  const listensOn = (port: number) =>
    Deno.readTextFileSync("/proc/net/udp").includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} `);
  await using app = await startApp({
    program: "rsyslogd",
    from: "the package rsyslog",
    key: "rsyslog.conf",
    payload: (dir, port) => ({ "rsyslog.conf": config(port, dir) }),
    args: (file, dir) => ["-n", "-f", file, "-i", `${dir}/pid`],
    ready: ({ port }) => Promise.resolve(listensOn(port)),
  });
  const args = ["--watched-dir", `${app.dir}/volume`, "--process-name", app.name, "--verify", "none"];
  await beside(app, [...args, ...QUICK], async (sidecar) => {
    app.volume.swap({ "rsyslog.conf": config(other, app.dir) });
    await successes(sidecar, 1);
    const out = `${app.dir}/out`;
    await until("rsyslog to have taken it", () => Deno.readTextFileSync(out).includes("rsyslogd was HUPed"));
    assert.deepEqual([listensOn(app.port), listensOn(other)], [true, false]);
  });
});
