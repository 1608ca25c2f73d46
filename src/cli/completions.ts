/**
 * Completion scripts for shells, from the flag table. Loaded only when asked for. Must complete nothing that the
 * command line does not take.
 */

import { findFlag, FLAG_NAMES } from "./flags.ts";
import { type Shell, SHELLS } from "./shells.ts";

const COMMANDS: Readonly<Record<string, string>> = {
  run: "watch and reload",
  check: "say what would work and what would not",
  healthcheck: "ask the running sidecar's /healthz",
  completions: "print a completion script",
};
const SHELL_WORDS = SHELLS.join(" ");

/**
 * The script for one shell, to be sourced or stored where the shell looks.
 */
export function renderCompletions(shell: Shell): string {
  if (shell === "bash") return renderBash();
  return shell === "zsh" ? renderZsh() : renderFish();
}

/** Flags by what their value is, as patterns of a shell's `case`. */
function flagsWith(completes: "file" | "directory"): string {
  return FLAG_NAMES.filter((name) => findFlag(name)!.completes === completes).map((name) => `--${name}`).join(
    "|",
  );
}

function renderBash(): string {
  const choices = FLAG_NAMES.filter((name) => findFlag(name)!.choices).map((name) =>
    `    --${name}) words="${findFlag(name)!.choices!.join(" ")}" ;;`
  );
  const switches = FLAG_NAMES.filter((name) => findFlag(name)!.placeholder === "").map((name) => `--${name}`);
  const values = FLAG_NAMES.filter((name) => {
    const flag = findFlag(name)!;
    return !flag.choices && !flag.completes;
  }).map((name) => `--${name}`);
  return `# bash completion for config-reloader: source <(config-reloader completions bash)
_config_reloader() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" words="" inline=""
  # "--flag=value" comes as three words, since "=" breaks words.
  if [[ "$cur" == "=" ]]; then
    cur="" inline=1
  elif [[ "$prev" == "=" ]]; then
    prev="\${COMP_WORDS[COMP_CWORD-2]}" inline=1
  fi
  COMPREPLY=()
  # A switch takes a value only behind "=".
  if [[ -z "$inline" ]]; then
    case "$prev" in ${switches.join("|")}) prev="" ;; esac
  fi
  case "$prev" in
${choices.join("\n")}
    ${flagsWith("file")})
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$cur")
      return ;;
    ${flagsWith("directory")})
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$cur")
      return ;;
    ${values.join("|")})
      return ;;
    completions) words="${SHELL_WORDS}" ;;
    *)
      if [[ "$cur" == -* ]]; then
        words="${FLAG_NAMES.map((name) => `--${name}`).join(" ")} --help --version"
      elif ((COMP_CWORD == 1)); then
        words="${Object.keys(COMMANDS).join(" ")}"
      fi ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _config_reloader config-reloader
`;
}

function renderZsh(): string {
  const specs = FLAG_NAMES.map((name) => {
    const flag = findFlag(name)!;
    const many = flag.repeatable ? "*" : "";
    // A colon ends the parts of a specification, brackets its help.
    const help = flag.help.replace(/[[\]\\:]/g, "\\$&").replaceAll("'", "'\\''");
    const action = flag.choices
      ? `(${flag.choices.join(" ")})`
      : flag.completes === "file"
      ? "_files"
      : flag.completes === "directory"
      ? "_files -/"
      : " ";
    const value = flag.placeholder === "" ? "" : `:${flag.placeholder.replace(/[|:]/g, " ")}:${action}`;
    const equals = flag.placeholder === "" ? "" : "=";
    return `    '${many}--${name}${equals}[${help}]${value}'`;
  });
  const commands = Object.entries(COMMANDS).map(([name, help]) =>
    `'${name}:${help.replaceAll("'", "'\\''")}'`
  );
  return `#compdef config-reloader
# zsh completion for config-reloader: store it as _config-reloader in a directory of $fpath
_config_reloader() {
  local -a commands=(${commands.join(" ")})
  local -a flags=(
${specs.join("\n")}
    '(- *)'{-h,--help}'[help]'
    '(- *)--version[version]'
  )
  if ((CURRENT == 3)) && [[ "$words[2]" == completions ]]; then
    _values shell ${SHELL_WORDS}
    return
  fi
  _arguments -S "$flags[@]" '1:command:{_describe command commands}'
}
if [[ "$funcstack[1]" == _config_reloader || "$funcstack[1]" == _config-reloader ]]; then
  _config_reloader "$@"
else
  compdef _config_reloader config-reloader
fi
`;
}

function renderFish(): string {
  const quoted = (text: string) => `'${text.replace(/[\\']/g, "\\$&")}'`;
  const flags = FLAG_NAMES.map((name) => {
    const flag = findFlag(name)!;
    const value = flag.placeholder === ""
      ? ""
      : flag.choices
      ? ` -x -a ${quoted(flag.choices.join(" "))}`
      : flag.completes === "file"
      ? " -r -F"
      : flag.completes === "directory"
      ? " -x -a '(__fish_complete_directories)'"
      : " -x";
    return `complete -c config-reloader -l ${name}${value} -d ${quoted(flag.help)}`;
  });
  const commands = Object.entries(COMMANDS).map(([name, help]) =>
    `complete -c config-reloader -n __fish_use_subcommand -a ${name} -d ${quoted(help)}`
  );
  return [
    "# fish completion for config-reloader: config-reloader completions fish | source",
    "complete -c config-reloader -f",
    ...commands,
    `complete -c config-reloader -n '__fish_seen_subcommand_from completions' -a '${SHELL_WORDS}'`,
    ...flags,
    "complete -c config-reloader -s h -l help -d 'help'",
    "complete -c config-reloader -l version -d 'version'",
  ].join("\n") + "\n";
}
