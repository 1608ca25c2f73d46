/** Loads what `--rollout` and `--kubernetes-events` ask for; without them nothing of a fleet is loaded. */

import type { FleetDeps, FleetTriggers } from "../fleet/fleet.ts";
import { createAppCheck } from "../attempt/app_check.ts";

/** Makes this pod's part in its fleet, and the ports that the loop takes in place of its own; null without the flags. */
export async function loadFleet(
  deps: Omit<FleetDeps, "checkApp" | "random"> & Parameters<typeof createAppCheck>[0] & FleetTriggers,
) {
  if (deps.config.rollout === "none" && !deps.config.kubernetesEvents) return null;
  const { createFleet, guardTriggers } = await import("../fleet/fleet.ts");
  const fleet = createFleet({ ...deps, checkApp: createAppCheck(deps), random: Math.random });
  const { rollout } = fleet;
  return { ...fleet, ports: rollout === null ? {} : { rollout, ...guardTriggers(deps, rollout) } };
}
