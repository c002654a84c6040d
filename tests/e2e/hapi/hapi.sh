#!/usr/bin/env bash
# Builds the HAPI peer into a folder, or runs it in the foreground: hapi.sh build DIR | run DIR
# Needs a JDK 17 or newer and Maven; the first build fetches about 300 MB. HAPI_PORT, HAPI_DB_URL and the rest: HapiJpa.java.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${2:?a folder}
case ${1:-} in
  build)
    [[ -f $dir/hapi-peer.jar && $dir/hapi-peer.jar -nt $here/src/main/java/HapiJpa.java ]] ||
      mvn -q -B -f "$here/pom.xml" -Dmaven.test.skip=true -Dpeer.dir="$dir" package ;;
  # C1 and the serial collector: quickest start, least memory.
  run)
    exec java -Xmx1500m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$dir/hapi-peer.jar:$dir/libs/*" HapiJpa ;;
  *) sed -n '2,3p' "$0" >&2; exit 2 ;;
esac
