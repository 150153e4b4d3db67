"""Stands in for the `java` that LocalStack starts DynamoDB Local with: the same program in a JVM inside this process.

Why not Java itself: DynamoDB Local listens on all addresses and has no option against it, but its HTTP server can be
told before it starts; and LocalStack gives its Java a session of its own, which ending LocalStack's process group does
not reach, so it needs a lifeline. The Java agent that LocalStack adds is dropped: LocalStack would have to download it.
"""

import os
import sys
import tempfile
from pathlib import Path

import jpype

from mintmark_localstack.lifeline import end_with_starter

# LocalStack asks for 256 MB of heap by default; java.library.path is where the jars are, with SQLite's native library.
_KEPT_OPTIONS = ("-X", "-D")


def main(arguments: list[str]) -> None:
    """:param arguments: as LocalStack passes them to java: options, -jar, a path, DynamoDB Local's own arguments"""
    end_with_starter()
    jar = arguments.index("-jar")
    options = [option for option in arguments[:jar] if option.startswith(_KEPT_OPTIONS)]
    jars = Path(arguments[jar + 1]).parent / "DynamoDBLocal_lib"
    java_home = Path(os.environ["MINTMARK_JAVA_HOME"])
    # Java knows nothing of TMPDIR, nor does it clean up when it is killed.
    options += [f"-Djava.io.tmpdir={tempfile.gettempdir()}", "-XX:-UsePerfData"]
    # It runs for minutes: what the second compiler would gain is less than what it costs, half of the start's processor time.
    options += ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
    jpype.startJVM(_jvm_of(java_home), *options, classpath=[str(jars / "*")], convertStrings=False)

    runner = jpype.JClass("com.amazonaws.services.dynamodbv2.local.main.ServerRunner")
    proxy = runner.createServerFromCommandLineArgs(arguments[jar + 2 :])
    _listen_on_loopback(proxy)
    # Not start(), which reports the start to its maker.
    proxy.safeStart()
    proxy.join()


def _listen_on_loopback(proxy) -> None:
    field = proxy.getClass().getDeclaredField("server")
    field.setAccessible(True)
    server = jpype.JObject(field.get(proxy), "org.eclipse.jetty.server.Server")
    for connector in server.getConnectors():
        jpype.JObject(connector, "org.eclipse.jetty.server.ServerConnector").setHost("127.0.0.1")


def _jvm_of(java_home: Path) -> str:
    for name in ("libjvm.so", "libjvm.dylib"):
        path = java_home / "lib" / "server" / name
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"no JVM in {java_home}/lib/server")


if __name__ == "__main__":
    main(sys.argv[1:])
