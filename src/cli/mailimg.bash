
# Bash splits an address before the @: join its parts, and complete the second one.
_mailimg() {
    local words=() index=0 i
    for i in "${!COMP_WORDS[@]}"; do
        if ((i > 0)) && [[ ${COMP_WORDS[i]} == @* || ${COMP_WORDS[i - 1]} == *@ ]]; then
            words[-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        ((i != COMP_CWORD)) || index=$((${#words[@]} - 1))
    done
    local word=${words[index]} start=""
    [[ $word != *@* || $COMP_WORDBREAKS != *@* ]] || start=${word%@*}
    local COMP_WORDS=("${words[@]}") COMP_CWORD=$index
    _clap_complete_mailimg "$1" "$word" "$3"
    COMPREPLY=("${COMPREPLY[@]#"$start"}")
}
complete -o nospace -o bashdefault -o nosort -F _mailimg mailimg 2>/dev/null ||
    complete -o nospace -o bashdefault -F _mailimg mailimg
