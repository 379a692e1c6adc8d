# Read by run, test and bench (POSIX sh): `environment LOCK [EXTRA]` makes .venv hold exactly LOCK.

say() { printf '%s\n%s\n' "$1" "$2" >&2; }

# The first Python from 3.11 on, by full path.
find_python() {
    for name in ${LIUHEN_PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if path=$(command -v "$name") &&
            "$path" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            printf '%s\n' "$path"
            return
        fi
    done
    say "需要 Python 3.11 或更高版本，请先安装（例如 python3.11）。" \
        "Python 3.11 or later is needed; please install it (for example python3.11)."
    return 1
}

# Debian and Ubuntu ship Python without ensurepip: root installs it, others are told how.
need_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null && return
    package=$("$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
        { apt-get update -q && apt-get install -y -q "$package"; } >&2 ||
            { apt-get install -y -q python3-venv >&2; } || true
    fi
    if ! "$1" -c 'import ensurepip, venv' 2>/dev/null; then
        say "这个 Python 缺少 venv 模块，请安装 $package（sudo apt-get install $package）后重试。" \
            "This Python lacks the venv module; install $package (sudo apt-get install $package) and try again."
        return 1
    fi
}

environment() {
    lock=$1
    python=$(find_python) || return 1
    if ! .venv/bin/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        need_venv "$python" || return 1
        rm -rf .venv
        "$python" -m venv .venv || return 1
    fi
    # Installed once for each content of the lock, of pyproject.toml and of the field app.
    stamp=.venv/liuhen-${lock%.lock}
    want=$(.venv/bin/python -c 'import hashlib, pathlib, sys
print(*(hashlib.sha256(pathlib.Path(p).read_bytes()).hexdigest() for p in sys.argv[1:]))' \
        "$lock" pyproject.toml) || return 1
    if [ "$(cat "$stamp" 2>/dev/null)" != "$want" ] || .venv/bin/python sync/field/building.py stale; then
        say "正在安装依赖（仅首次或更新后）……" "Installing what it needs (first time or after an update only) ..."
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --require-hashes --requirement "$lock" >&2 &&
            .venv/bin/python -m pip install --quiet --disable-pip-version-check \
                --no-deps --editable . >&2 || {
            say "依赖安装失败，请检查网络或 pip 的软件源设置后重试。" \
                "Installing failed; check the network or pip's index settings and try again."
            return 1
        }
        printf '%s\n' "$want" >"$stamp"
    fi
}
