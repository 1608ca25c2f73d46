/**
 * The environment's part of the settings: `CONFIG_RELOADER_…` before the original's plain names, service links of
 * Kubernetes left out, unknown names reported. Must never parse a value.
 */

import { findFlag, FLAG_NAMES, type FlagName, VARIABLE_PREFIX, variableOf } from "./flags.ts";
import { quote, suggestion } from "./usage_error.ts";

/** The environment as `Deno.env.toObject()` gives it. */
export type Environment = Readonly<Record<string, string>>;

/** What a variable holds for a flag; several texts only where the flag is repeatable. */
export interface VariableTexts {
  readonly variable: string;
  readonly texts: readonly string[];
}

/** What the environment says about each flag, and warnings about what was passed over. */
export interface EnvironmentTexts {
  readonly flags: ReadonlyMap<FlagName, VariableTexts>;
  readonly warnings: readonly string[];
}

/**
 * Kubernetes sets `NAME_PORT=tcp://…` and more for each Service NAME of the namespace
 * (kubernetes.io/docs/concepts/services-networking/service: environment variables).
 */
const LINK_VALUE = /^(?:tcp|udp|sctp):\/\//;
const LINK_NAME = /_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?$|_SERVICE_(?:HOST|PORT(?:_.*)?)$/;

/**
 * Reads the variables of all flags; an empty one counts as unset. Goes through what is set, not through the table: of
 * the table's names hardly one is.
 */
export function readEnvironment(environment: Environment): EnvironmentTexts {
  const found: EnvironmentTexts & { flags: Map<FlagName, VariableTexts>; warnings: string[] } = {
    flags: new Map(),
    warnings: [],
  };
  const unknown: string[] = [];
  for (const variable of Object.keys(environment)) {
    // Empty counts as unset, also where the name is unknown.
    if (!variable.startsWith(VARIABLE_PREFIX) || environment[variable] === "") continue;
    const name = variable.slice(VARIABLE_PREFIX.length).toLowerCase().replaceAll("_", "-") as FlagName;
    if (findFlag(name) && variableOf(name) === variable) take(found, name, variable, environment[variable]!);
    else if (!isServiceLink(variable, environment[variable]!)) unknown.push(variable);
  }
  for (const name of FLAG_NAMES) {
    const variable = findFlag(name)!.plainVariable;
    if (variable) take(found, name, variable, environment[variable] ?? "");
  }
  for (const variable of unknown.sort()) {
    const word = variable.slice(VARIABLE_PREFIX.length);
    found.warnings.push(`${variable}: unknown variable, ignored${suggestion(word, FLAG_NAMES, variableOf)}`);
  }
  return found;
}

/** Adds one variable, unless an earlier one has set the flag. */
function take(
  found: { flags: Map<FlagName, VariableTexts>; warnings: string[] },
  name: FlagName,
  variable: string,
  text: string,
): void {
  if (text === "") return;
  const flag = findFlag(name)!;
  if (flag.port && LINK_VALUE.test(text)) {
    found.warnings.push(
      `${variable}: ${quote(text)} is Kubernetes' link to a Service of that name and is ignored` +
        " (enableServiceLinks: false in the pod keeps such variables away)",
    );
    return;
  }
  const texts = flag.repeatable ? text.split(",").map((item) => item.trim()).filter(Boolean) : [text];
  if (texts.length > 0 && !found.flags.has(name)) found.flags.set(name, { variable, texts });
}

/** Links of a Service `config-reloader` or `config-reloader-…`; silent, since the pod's author did not write them. */
function isServiceLink(variable: string, value: string): boolean {
  return LINK_NAME.test(variable) || LINK_VALUE.test(value) ||
    variable.startsWith(`${VARIABLE_PREFIX}PORT`) || variable.startsWith(`${VARIABLE_PREFIX}SERVICE_`);
}
