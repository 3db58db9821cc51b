# Built from the top of the repository: docker build -f infra/deploy/compose/worker.Dockerfile .
FROM node:26-bookworm-slim
# Codecs that a dump may be compressed with. Node has zstd and zlib of its own, which are slower.
RUN apt-get update \
 && apt-get install -y --no-install-recommends liblzo2-2 libsnappy1v5 libzstd1 libdeflate0 \
 && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
WORKDIR /opt/ullage
COPY . .
# As in the API's image: whichever container starts first, the volume has the API's group.
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
 && install -d -m 2770 -o node -g node /srv/ullage/dumps
# Root, with the few capabilities that compose.yaml leaves it: it opens the memory of other users' processes.
EXPOSE 7071
CMD ["node", "--conditions=@ullage/source", "apps/worker/src/main.ts"]
