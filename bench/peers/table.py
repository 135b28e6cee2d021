"""Every peer there is. A new one is a module beside this one and a line here."""

from __future__ import annotations

from bench.peers.backend_ai import BackendAi
from bench.peers.base import Peer
from bench.peers.copyparty import Copyparty
from bench.peers.nginx import Nginx
from bench.peers.stream_zip import StreamZip
from bench.peers.tar import Tar
from bench.peers.zipstream_new import ZipstreamNew
from bench.peers.zipstream_ng import ZipstreamNg

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        Nginx(),
        Nginx("nginx-push", nopush=False),
        Nginx("nginx-reno", nopush=False, unpaced=True),
        Tar(),
        ZipstreamNg(),
        StreamZip(),
        ZipstreamNew(),
        Copyparty(),
        BackendAi(),
    )
}
