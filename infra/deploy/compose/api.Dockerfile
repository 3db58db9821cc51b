# Built from the top of the repository: docker build -f infra/deploy/compose/api.Dockerfile .
FROM node:26-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/ullage
COPY . .
# Set-group-id: what the worker publishes belongs to the API's group, which serves and removes it.
RUN npm ci --ignore-scripts --omit=dev --no-audit --no-fund \
 && install -d -o node -g node /var/lib/ullage-api \
 && install -d -m 2770 -o node -g node /srv/ullage/dumps
USER node
EXPOSE 7070
CMD ["node", "--conditions=@ullage/source", "apps/api/src/main.ts"]
