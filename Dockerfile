# The daemon's image: the static program, the CA certificates for AWS's endpoints, nothing else. `make image` builds it.
FROM scratch

# amd64 or arm64: the builder sets it for each platform.
ARG TARGETARCH
COPY target/image/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY target/image/$TARGETARCH/ecs-task-notifier /ecs-task-notifier

# An unprivileged user: the program writes no file and opens no low port.
USER 65534:65534
ENV NOTIFIER_LISTEN=0.0.0.0:8080 NOTIFIER_LOG_FORMAT=json
EXPOSE 8080

ENTRYPOINT ["/ecs-task-notifier"]
CMD ["serve"]
