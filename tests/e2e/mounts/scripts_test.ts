/** The scripts of `tests/testdata/watch` with mounts, other users and limits: need root, unshare and setpriv. */

import { registerScripts } from "../../support/watch_script.ts";

registerScripts(["user", "mounts", "limits"]);
