/** The scripts of `tests/testdata/watch` that any user can run. */

import { registerScripts } from "../support/watch_script.ts";

registerScripts(["", "fifo"]);
