/**
 * The environment's part of the settings: `CONFIG_RELOADER_…` before the original's plain names, service links of
 * Kubernetes left out, unknown names reported. Must never parse a value.
 */

import { findFlag, FLAG_NAMES, type FlagName, VARIABLE_PREFIX, variableOf } from "./flags.ts";
import { suggestion } from "./suggest.ts";
import { quote } from "./usage_error.ts";

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

/** Reads the variables of all flags; an empty one counts as unset. */
export function readEnvironment(environment: Environment): EnvironmentTexts {
  const flags = new Map<FlagName, VariableTexts>();
  const known = new Set<string>();
  const warnings: string[] = [];
  for (const name of FLAG_NAMES) {
    const flag = findFlag(name)!;
    const variables = [variableOf(name), ...(flag.plainVariable ? [flag.plainVariable] : [])];
    for (const variable of variables) {
      known.add(variable);
      const text = environment[variable] ?? "";
      if (text === "") continue;
      if (flag.port && LINK_VALUE.test(text)) {
        warnings.push(
          `${variable}: ${quote(text)} is Kubernetes' link to a Service of that name and is ignored` +
            " (enableServiceLinks: false in the pod keeps such variables away)",
        );
        continue;
      }
      const texts = flag.repeatable ? text.split(",").map((item) => item.trim()).filter(Boolean) : [text];
      if (texts.length > 0 && !flags.has(name)) flags.set(name, { variable, texts });
    }
  }
  return { flags, warnings: [...warnings, ...unknownVariables(environment, known)] };
}

function unknownVariables(environment: Environment, known: ReadonlySet<string>): readonly string[] {
  const unknown = Object.keys(environment).filter((variable) =>
    variable.startsWith(VARIABLE_PREFIX) && !known.has(variable) &&
    !isServiceLink(variable, environment[variable]!)
  );
  return unknown.sort().map((variable) => {
    const word = variable.slice(VARIABLE_PREFIX.length);
    return `${variable}: unknown variable, ignored${suggestion(word, FLAG_NAMES, variableOf)}`;
  });
}

/** Links of a Service `config-reloader` or `config-reloader-…`; silent, since the pod's author did not write them. */
function isServiceLink(variable: string, value: string): boolean {
  return LINK_NAME.test(variable) || LINK_VALUE.test(value) ||
    variable.startsWith(`${VARIABLE_PREFIX}PORT`) || variable.startsWith(`${VARIABLE_PREFIX}SERVICE_`);
}
