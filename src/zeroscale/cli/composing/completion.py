"""Completion in the shell: of commands, keys, and choices of groups.

Hydra's own scripts know one program without commands, hence ours; what they ask is answered by Hydra's own code.
"""

from hydra._internal.core_plugins.bash_completion import BashCompletion
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException

SCRIPTS = {
    "bash": """_zeroscale() {
    local IFS=$'\\n'
    COMPREPLY=($(COMP_LINE="${COMP_LINE:0:COMP_POINT}" zeroscale -sc query=bash 2>/dev/null))
    [[ ${COMPREPLY[0]} == *[=./] ]] && compopt -o nospace
    local word="${COMP_LINE:0:COMP_POINT}"; word="${word##* }"
    # What readline takes for the beginning of another word is not said again.
    local before="${word%"${COMP_WORDS[COMP_CWORD]}"}"
    [[ ${COMP_WORDS[COMP_CWORD]} == "=" ]] && before="$word"
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
}
complete -o default -F _zeroscale zeroscale
""",
    "zsh": """_zeroscale() {
    local -a found
    found=("${(@f)$(COMP_LINE="${LBUFFER}" zeroscale -sc query=zsh 2>/dev/null)}")
    [[ -n "${found[1]}" ]] && compadd -Q -S '' -- "${found[@]}" || _files
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _zeroscale zeroscale
""",
    "fish": """function __zeroscale_complete
    set -lx COMP_LINE (commandline -cp)
    zeroscale -sc query=fish 2>/dev/null
end
complete -c zeroscale -x -a '(__zeroscale_complete)'
""",
}
UNINSTALL = {
    "bash": "complete -r zeroscale; unset -f _zeroscale\n",
    "zsh": "compdef -d zeroscale; unfunction _zeroscale\n",
    "fish": "complete -e -c zeroscale; functions -e __zeroscale_complete\n",
}


def matches(command: str, line: str) -> list[str]:
    """What can stand at the end of a line of overrides (without `zeroscale COMMAND `); within Hydra's context."""
    loader = GlobalHydra.instance().config_loader()
    try:
        found: list[str] = BashCompletion(loader)._query(config_name=command, line=line)
    except (HydraException, ValueError, AttributeError):
        # A line that cannot be composed as yet has no completion.
        return []
    return [match for match in found if not match.startswith(("hydra.", "hydra/", "hydra="))]
