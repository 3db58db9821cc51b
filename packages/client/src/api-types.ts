// Made of the OpenAPI document of the API by `npm run types -w @ullage/client`. Not to be edited.

export interface paths {
    "/v1/dumps": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List dumps, the latest first
         * @description Scope: dumps:read.
         */
        get: {
            parameters: {
                query?: {
                    limit?: number;
                    /** @description "next" of the page before */
                    cursor?: string;
                    guest?: string;
                    host?: string;
                    state?: "queued" | "running" | "succeeded" | "failed" | "cancelled" | "lost";
                    /** @description accepted then or later */
                    createdAfter?: string;
                    /** @description accepted before then */
                    createdBefore?: string;
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DumpList"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        /**
         * Ask for a dump of a guest
         * @description Returns as soon as the dump is written down; follow its events. Scope: dumps:write.
         */
        post: {
            parameters: {
                query?: never;
                header?: {
                    /** @description chosen by the client, new for each dump it wants. A request that is sent again with its key has no further effect for 24 hours: it gets the dump that the first one made, with Idempotent-Replayed: true */
                    "idempotency-key"?: string;
                };
                path?: never;
                cookie?: never;
            };
            requestBody: {
                content: {
                    "application/json": components["schemas"]["DumpRequestInput"];
                };
            };
            responses: {
                /** @description Default Response */
                202: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Dump"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description GUEST_UNKNOWN: no such guest */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description GUEST_AMBIGUOUS: two hosts announce this guest; GUEST_UNUSABLE: this guest's descriptor cannot be used; DUMP_ACTIVE: this guest has a dump queued or running; QUOTA_EXCEEDED: the tenant has as much as it may */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_REMOVED: the dump that this Idempotency-Key made was removed */
                410: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description BODY_TOO_LARGE: the request is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description MEDIA_TYPE: the body is not JSON */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description IDEMPOTENCY_MISMATCH: this Idempotency-Key was used for another request */
                422: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description IDEMPOTENCY_FULL: too many Idempotency-Keys in 24 hours; RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description HOST_UNREACHABLE: the guest's host does not answer; HOST_DRAINING: the guest's host takes no new dumps; QUEUE_UNREACHABLE: the queue does not answer; JOURNAL_UNWRITABLE: the journal cannot be written; AUTH_UNREACHABLE: tokens cannot be checked now; AUDIT_UNWRITABLE: what is done cannot be written down */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/dumps/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One dump
         * @description Scope: dumps:read.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Dump"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNKNOWN: no such dump */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        /**
         * Cancel a dump, or remove a finished one
         * @description Queued: 200, it is cancelled. Running: 202, its worker is told to end it and the guest runs on. Finished: 204, artifact and record are removed. Scope: dumps:write.
         */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Dump"];
                    };
                };
                /** @description Default Response */
                202: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Dump"];
                    };
                };
                /** @description Default Response */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNKNOWN: no such dump */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description BODY_TOO_LARGE: the request is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description MEDIA_TYPE: the body is not JSON */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_UNREMOVABLE: the artifact cannot be removed; INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; STORE_UNAVAILABLE: the place of artifacts does not answer; JOURNAL_UNWRITABLE: the journal cannot be written; AUTH_UNREACHABLE: tokens cannot be checked now; AUDIT_UNWRITABLE: what is done cannot be written down */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/dumps/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow a dump
         * @description Server-sent events. `state`: the whole dump, on connect and at each change; `progress`: how far it is. The id of an event is the revision of the dump. The stream ends when the dump is finished. With Last-Event-ID it goes on from there: each change since then, the latest progress, then what comes. It ends early, with a comment that says why, when the token expires or its key is taken away: come again with another one. Scope: dumps:read.
         */
        get: {
            parameters: {
                query?: never;
                header?: {
                    /** @description id of the last event that was seen */
                    "last-event-id"?: string;
                };
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description the events, until the dump is finished */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/event-stream": unknown;
                    };
                };
                /** @description Default Response */
                204: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNKNOWN: no such dump */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description STREAMS_EXHAUSTED: too many streams are open; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/dumps/{id}/artifact": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Download the vmcore
         * @description One byte range is served (206). ETag and Repr-Digest are the SHA-256 of the whole file, Content-Digest as well when the whole file is sent. Scope: dumps:read.
         */
        get: {
            parameters: {
                query?: never;
                header?: {
                    range?: string;
                    "if-range"?: string;
                };
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description the whole artifact */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/octet-stream": unknown;
                    };
                };
                /** @description the range that was asked for */
                206: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/octet-stream": unknown;
                    };
                };
                /** @description Default Response */
                304: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNKNOWN: no such dump */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNFINISHED: this dump is not finished; NO_ARTIFACT: this dump ended without an artifact */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_GONE: the artifact is no longer where it was published */
                410: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RANGE_INVALID: this range cannot be served */
                416: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_UNREADABLE: the artifact cannot be used where it is kept; INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description STORE_UNAVAILABLE: the place of artifacts does not answer; STREAMS_EXHAUSTED: too many streams are open; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        /**
         * Download the vmcore
         * @description One byte range is served (206). ETag and Repr-Digest are the SHA-256 of the whole file, Content-Digest as well when the whole file is sent. Scope: dumps:read.
         */
        head: {
            parameters: {
                query?: never;
                header?: {
                    range?: string;
                    "if-range"?: string;
                };
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description the whole artifact */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/octet-stream": unknown;
                    };
                };
                /** @description the range that was asked for */
                206: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/octet-stream": unknown;
                    };
                };
                /** @description Default Response */
                304: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNKNOWN: no such dump */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNFINISHED: this dump is not finished; NO_ARTIFACT: this dump ended without an artifact */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_GONE: the artifact is no longer where it was published */
                410: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RANGE_INVALID: this range cannot be served */
                416: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_UNREADABLE: the artifact cannot be used where it is kept; INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description STORE_UNAVAILABLE: the place of artifacts does not answer; STREAMS_EXHAUSTED: too many streams are open; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        patch?: never;
        trace?: never;
    };
    "/v1/dumps/{id}/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What was found in the guest, and how the dump was made
         * @description Scope: dumps:read.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["DumpReport"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNKNOWN: no such dump */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description DUMP_UNFINISHED: this dump is not finished; NO_ARTIFACT: this dump ended without an artifact */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_GONE: the artifact is no longer where it was published */
                410: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description ARTIFACT_UNREADABLE: the artifact cannot be used where it is kept; INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description STORE_UNAVAILABLE: the place of artifacts does not answer; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/guests": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the guests that hosts announce
         * @description Scope: guests:read.
         */
        get: {
            parameters: {
                query?: {
                    limit?: number;
                    /** @description "next" of the page before */
                    cursor?: string;
                    host?: string;
                    /** @description of the descriptor, such as virtio-balloon */
                    backend?: string;
                    reachable?: "true" | "false";
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["GuestList"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/guests/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One guest
         * @description Scope: guests:read.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Guest"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description GUEST_UNKNOWN: no such guest */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description GUEST_AMBIGUOUS: two hosts announce this guest */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/guests/{id}/pages": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * What guest and host say of the guest's frames, by class and state
         * @description Asks the worker on the host. Pauses nothing and reads no page content. Scope: guests:read.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["GuestPages"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description GUEST_UNKNOWN: no such guest */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description GUEST_AMBIGUOUS: two hosts announce this guest */
                409: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description PAGES_FAILED: the worker could not tell */
                502: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; HOST_UNREACHABLE: the guest's host does not answer; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description PAGES_TIMEOUT: the worker did not answer in time */
                504: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List the hosts that have a worker, or had one lately
         * @description A tenant sees the names of hosts that have guests of its own, and those guests. Scope: guests:read.
         */
        get: {
            parameters: {
                query?: {
                    limit?: number;
                    /** @description "next" of the page before */
                    cursor?: string;
                    reachable?: "true" | "false";
                };
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["HostList"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/hosts/{id}/drain": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Have a host take no new dumps
         * @description What runs there is finished; what is queued stays queued, also when the worker starts again; POST /v1/dumps for its guests is refused with HOST_DRAINING. Holds until DELETE. Scope: admin, of no tenant.
         */
        put: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Host"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description HOST_UNKNOWN: no such host */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description BODY_TOO_LARGE: the request is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description MEDIA_TYPE: the body is not JSON */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; AUTH_UNREACHABLE: tokens cannot be checked now; AUDIT_UNWRITABLE: what is done cannot be written down */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        post?: never;
        /**
         * Have a host take dumps again
         * @description Scope: admin, of no tenant.
         */
        delete: {
            parameters: {
                query?: never;
                header?: never;
                path: {
                    id: string;
                };
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Host"];
                    };
                };
                /** @description REQUEST_INVALID: the request does not fit the schema */
                400: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description HOST_UNKNOWN: no such host */
                404: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description BODY_TOO_LARGE: the request is too large */
                413: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description MEDIA_TYPE: the body is not JSON */
                415: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description QUEUE_UNREACHABLE: the queue does not answer; AUTH_UNREACHABLE: tokens cannot be checked now; AUDIT_UNWRITABLE: what is done cannot be written down */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/healthz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process lives */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": {
                            ok: boolean;
                        };
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Whether dumps can be accepted: the journal can be written, and Redis answers and takes writes
         * @description Looked at once a second at most. Answers within 2 s, also when Redis hangs: 503, with the kind of the fault. The service's log has the reason.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Readiness"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description Default Response */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Readiness"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Figures for Prometheus
         * @description Scope: metrics:read, of no tenant.
         */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description the figures */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "text/plain": unknown;
                    };
                };
                /** @description UNAUTHENTICATED: who asks is not known */
                401: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description FORBIDDEN: this key or token has not the scope for it */
                403: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description RATE_LIMITED: too many requests */
                429: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description INTERNAL: something is wrong here */
                500: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
                /** @description AUTH_UNREACHABLE: tokens cannot be checked now */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/problem+json": components["schemas"]["Problem"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        DumpFailureInput: {
            code: string;
            message: string;
        };
        DumpOptionsInput: {
            /**
             * @description what is left out, as in makedumpfile -d: 1 zero, 2 and 4 cache, 8 user, 16 free
             * @default 31
             */
            level?: number;
            /**
             * @description what each stored page is compressed with
             * @default zstd
             * @enum {string}
             */
            compression?: "zstd" | "lzo" | "snappy" | "zlib" | "none";
            /**
             * @default kdump
             * @enum {string}
             */
            format?: "kdump" | "flattened" | "elf";
            /**
             * @description whose word decides what is left out
             * @default guest
             * @enum {string}
             */
            trust?: "guest" | "both" | "host";
            /**
             * @description page tables of a Xen PV guest: kept with their machine frames, rewritten with the guest's own frames as drgn and makedumpfile need them, or that and the list which crash needs besides; other guests allow keep only
             * @default keep
             * @enum {string}
             */
            pvTables?: "keep" | "rewrite" | "crash";
            /**
             * @description a waiting dump of a higher priority goes first; among equals, the tenants of a host's queue take turns
             * @default normal
             * @enum {string}
             */
            priority?: "high" | "normal" | "low";
            /**
             * @description true dumps without pausing the guest; the dump is then inconsistent
             * @default false
             */
            live?: boolean;
        };
        DumpRequestInput: {
            /** @description id of the guest, as GET /v1/guests lists it */
            guest: string;
            /**
             * @description what is left out, as in makedumpfile -d: 1 zero, 2 and 4 cache, 8 user, 16 free
             * @default 31
             */
            level?: number;
            /**
             * @description what each stored page is compressed with
             * @default zstd
             * @enum {string}
             */
            compression?: "zstd" | "lzo" | "snappy" | "zlib" | "none";
            /**
             * @default kdump
             * @enum {string}
             */
            format?: "kdump" | "flattened" | "elf";
            /**
             * @description whose word decides what is left out
             * @default guest
             * @enum {string}
             */
            trust?: "guest" | "both" | "host";
            /**
             * @description page tables of a Xen PV guest: kept with their machine frames, rewritten with the guest's own frames as drgn and makedumpfile need them, or that and the list which crash needs besides; other guests allow keep only
             * @default keep
             * @enum {string}
             */
            pvTables?: "keep" | "rewrite" | "crash";
            /**
             * @description a waiting dump of a higher priority goes first; among equals, the tenants of a host's queue take turns
             * @default normal
             * @enum {string}
             */
            priority?: "high" | "normal" | "low";
            /**
             * @description true dumps without pausing the guest; the dump is then inconsistent
             * @default false
             */
            live?: boolean;
        };
        DumpProgressInput: {
            /** @enum {string} */
            stage: "classify" | "write" | "verify" | "store";
            done: number;
            total: number;
        };
        ClassMatrixInput: {
            [key: string]: {
                backed: number;
                swapped: number;
                unbacked: number;
                unknown: number;
            };
        };
        ArtifactInput: {
            /** @description name of the file, without a folder */
            file: string;
            bytes: number;
            sha256: string;
            /** @enum {string} */
            format: "kdump" | "flattened" | "elf";
            /** @enum {string} */
            compression: "zstd" | "lzo" | "snappy" | "zlib" | "none";
            level: number;
        } & {
            [key: string]: unknown;
        };
        DumpReportInput: {
            /** @constant */
            schema: "ullage.report/1";
            guest: {
                backend: string;
                kernel: string | null;
                /** @enum {string} */
                vmcoreinfo: "note" | "scan" | "none";
                pageSize: number;
            } & {
                [key: string]: unknown;
            };
            frames: {
                total: number;
                byClass: components["schemas"]["ClassMatrixInput"];
                byFate: {
                    write: number;
                    zero: number;
                    leaveOut: number;
                };
            } & {
                [key: string]: unknown;
            };
            disagreements: {
                reclaimableBytes: number;
                untouched: number;
                inUseUnbacked: number;
                offlineUntold: number;
                /** @description frames that a costly hypervisor was not asked about, by the guest’s word */
                notAsked?: number;
                alarm: boolean;
            } & {
                [key: string]: unknown;
            };
            hostMemory: {
                backedBytesBefore: number;
                backedBytesAfter: number;
                residentBytesBefore: number;
                residentBytesAfter: number;
            } & {
                [key: string]: unknown;
            };
            hypervisor?: {
                /** @description hypercalls made for the guest */
                questions: number;
                totalFramesBefore?: number;
                totalFramesAfter?: number;
                populateOnDemandBefore?: {
                    targetFrames: number;
                    cacheFrames: number;
                    entries: number;
                } & {
                    [key: string]: unknown;
                };
                populateOnDemandAfter?: {
                    targetFrames: number;
                    cacheFrames: number;
                    entries: number;
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
            /** @enum {string} */
            trust: "guest" | "both" | "host";
            warnings: {
                code: string;
                text: string;
            }[];
            consistency: {
                /** @enum {string} */
                mode: "paused" | "live" | "stopped" | "file";
                pausedMs: number;
            } & {
                [key: string]: unknown;
            };
            process: {
                peakBytes: number;
            } & {
                [key: string]: unknown;
            };
            artifact: components["schemas"]["ArtifactInput"];
            timingsMs: {
                classify: number;
                write: number;
                verify: number;
                total: number;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        DumpInput: {
            /** Format: uuid */
            id: string;
            guest: string;
            host: string;
            /**
             * @description to whom the guest belonged when the dump was accepted
             * @default null
             */
            tenant?: string | null;
            /** @enum {string} */
            state: "queued" | "running" | "succeeded" | "failed" | "cancelled" | "lost";
            revision: number;
            options: components["schemas"]["DumpOptionsInput"];
            /** Format: date-time */
            createdAt: string;
            startedAt: string | null;
            finishedAt: string | null;
            /** @description how often a worker has begun it */
            attempts: number;
            cancelRequested: boolean;
            /** @description true while it is queued or running and its host has no worker that was heard of in the last 30 s */
            hostUnreachable: boolean;
            progress: components["schemas"]["DumpProgressInput"] | null;
            /** @description why it failed, or why the last attempt did when another one follows */
            failure: components["schemas"]["DumpFailureInput"] | null;
            result: {
                artifact: components["schemas"]["ArtifactInput"];
                pausedMs: number;
                alarm: boolean;
                warnings: {
                    code: string;
                    text: string;
                }[];
                totalMs: number;
                /**
                 * Format: date-time
                 * @description when retention removed the artifact and its report
                 */
                expiredAt?: string;
                disagreements?: {
                    reclaimableBytes: number;
                    untouched: number;
                    inUseUnbacked: number;
                    offlineUntold: number;
                };
            } | null;
            links: {
                self: string;
                events: string;
                artifact: string | null;
                report: string | null;
            };
        };
        ProblemInput: {
            type: string;
            title: string;
            status: number;
            code: string;
            detail: string;
            /** @description what to do */
            remedy: string;
        } & {
            [key: string]: unknown;
        };
        DumpListInput: {
            items: components["schemas"]["DumpInput"][];
            /** @description cursor of the next page; null on the last one */
            next: string | null;
        };
        GuestInput: {
            id: string;
            backend: string | null;
            problem: components["schemas"]["DumpFailureInput"] | null;
            /**
             * @description to whom it belongs; null for nobody, or when that is not known
             * @default null
             */
            tenant?: string | null;
            host: string;
            /** @description whether the host's worker was heard of in the last 30 s */
            reachable: boolean;
            /** @description since when its host takes no new dumps, or null */
            drainingSince: string | null;
            /** @description address of the dump that is queued or running */
            activeDump: string | null;
            links: {
                self: string;
                pages: string;
            };
        };
        GuestPagesInput: {
            guest: {
                backend: string;
                kernel: string | null;
                pageSize: number;
            } & {
                [key: string]: unknown;
            };
            frames: {
                total: number;
                byClass: components["schemas"]["ClassMatrixInput"];
            } & {
                [key: string]: unknown;
            };
            warnings: {
                code: string;
                text: string;
            }[];
        } & {
            [key: string]: unknown;
        };
        GuestListInput: {
            items: components["schemas"]["GuestInput"][];
            /** @description cursor of the next page; null on the last one */
            next: string | null;
        };
        ReadinessInput: {
            ready: boolean;
            journal: string;
            queue: string;
        };
        HostInput: {
            /** Format: uuid */
            instance?: string;
            /** Format: date-time */
            startedAt?: string;
            concurrency?: number;
            host: string;
            /** @description whether its worker was heard of in the last 30 s */
            reachable: boolean;
            /** @description since when it takes no new dumps, or null */
            drainingSince?: string | null;
            guests: string[];
        };
        HostListInput: {
            items: components["schemas"]["HostInput"][];
            /** @description cursor of the next page; null on the last one */
            next: string | null;
        };
        DumpFailure: {
            code: string;
            message: string;
        };
        DumpOptions: {
            /**
             * @description what is left out, as in makedumpfile -d: 1 zero, 2 and 4 cache, 8 user, 16 free
             * @default 31
             */
            level: number;
            /**
             * @description what each stored page is compressed with
             * @default zstd
             * @enum {string}
             */
            compression: "zstd" | "lzo" | "snappy" | "zlib" | "none";
            /**
             * @default kdump
             * @enum {string}
             */
            format: "kdump" | "flattened" | "elf";
            /**
             * @description whose word decides what is left out
             * @default guest
             * @enum {string}
             */
            trust: "guest" | "both" | "host";
            /**
             * @description page tables of a Xen PV guest: kept with their machine frames, rewritten with the guest's own frames as drgn and makedumpfile need them, or that and the list which crash needs besides; other guests allow keep only
             * @default keep
             * @enum {string}
             */
            pvTables: "keep" | "rewrite" | "crash";
            /**
             * @description a waiting dump of a higher priority goes first; among equals, the tenants of a host's queue take turns
             * @default normal
             * @enum {string}
             */
            priority: "high" | "normal" | "low";
            /**
             * @description true dumps without pausing the guest; the dump is then inconsistent
             * @default false
             */
            live: boolean;
        };
        DumpRequest: {
            /** @description id of the guest, as GET /v1/guests lists it */
            guest: string;
            /**
             * @description what is left out, as in makedumpfile -d: 1 zero, 2 and 4 cache, 8 user, 16 free
             * @default 31
             */
            level: number;
            /**
             * @description what each stored page is compressed with
             * @default zstd
             * @enum {string}
             */
            compression: "zstd" | "lzo" | "snappy" | "zlib" | "none";
            /**
             * @default kdump
             * @enum {string}
             */
            format: "kdump" | "flattened" | "elf";
            /**
             * @description whose word decides what is left out
             * @default guest
             * @enum {string}
             */
            trust: "guest" | "both" | "host";
            /**
             * @description page tables of a Xen PV guest: kept with their machine frames, rewritten with the guest's own frames as drgn and makedumpfile need them, or that and the list which crash needs besides; other guests allow keep only
             * @default keep
             * @enum {string}
             */
            pvTables: "keep" | "rewrite" | "crash";
            /**
             * @description a waiting dump of a higher priority goes first; among equals, the tenants of a host's queue take turns
             * @default normal
             * @enum {string}
             */
            priority: "high" | "normal" | "low";
            /**
             * @description true dumps without pausing the guest; the dump is then inconsistent
             * @default false
             */
            live: boolean;
        };
        DumpProgress: {
            /** @enum {string} */
            stage: "classify" | "write" | "verify" | "store";
            done: number;
            total: number;
        };
        ClassMatrix: {
            [key: string]: {
                backed: number;
                swapped: number;
                unbacked: number;
                unknown: number;
            };
        };
        Artifact: {
            /** @description name of the file, without a folder */
            file: string;
            bytes: number;
            sha256: string;
            /** @enum {string} */
            format: "kdump" | "flattened" | "elf";
            /** @enum {string} */
            compression: "zstd" | "lzo" | "snappy" | "zlib" | "none";
            level: number;
        } & {
            [key: string]: unknown;
        };
        DumpReport: {
            /** @constant */
            schema: "ullage.report/1";
            guest: {
                backend: string;
                kernel: string | null;
                /** @enum {string} */
                vmcoreinfo: "note" | "scan" | "none";
                pageSize: number;
            } & {
                [key: string]: unknown;
            };
            frames: {
                total: number;
                byClass: components["schemas"]["ClassMatrix"];
                byFate: {
                    write: number;
                    zero: number;
                    leaveOut: number;
                };
            } & {
                [key: string]: unknown;
            };
            disagreements: {
                reclaimableBytes: number;
                untouched: number;
                inUseUnbacked: number;
                offlineUntold: number;
                /** @description frames that a costly hypervisor was not asked about, by the guest’s word */
                notAsked?: number;
                alarm: boolean;
            } & {
                [key: string]: unknown;
            };
            hostMemory: {
                backedBytesBefore: number;
                backedBytesAfter: number;
                residentBytesBefore: number;
                residentBytesAfter: number;
            } & {
                [key: string]: unknown;
            };
            hypervisor?: {
                /** @description hypercalls made for the guest */
                questions: number;
                totalFramesBefore?: number;
                totalFramesAfter?: number;
                populateOnDemandBefore?: {
                    targetFrames: number;
                    cacheFrames: number;
                    entries: number;
                } & {
                    [key: string]: unknown;
                };
                populateOnDemandAfter?: {
                    targetFrames: number;
                    cacheFrames: number;
                    entries: number;
                } & {
                    [key: string]: unknown;
                };
            } & {
                [key: string]: unknown;
            };
            /** @enum {string} */
            trust: "guest" | "both" | "host";
            warnings: {
                code: string;
                text: string;
            }[];
            consistency: {
                /** @enum {string} */
                mode: "paused" | "live" | "stopped" | "file";
                pausedMs: number;
            } & {
                [key: string]: unknown;
            };
            process: {
                peakBytes: number;
            } & {
                [key: string]: unknown;
            };
            artifact: components["schemas"]["Artifact"];
            timingsMs: {
                classify: number;
                write: number;
                verify: number;
                total: number;
            } & {
                [key: string]: unknown;
            };
        } & {
            [key: string]: unknown;
        };
        Dump: {
            /** Format: uuid */
            id: string;
            guest: string;
            host: string;
            /**
             * @description to whom the guest belonged when the dump was accepted
             * @default null
             */
            tenant: string | null;
            /** @enum {string} */
            state: "queued" | "running" | "succeeded" | "failed" | "cancelled" | "lost";
            revision: number;
            options: components["schemas"]["DumpOptions"];
            /** Format: date-time */
            createdAt: string;
            startedAt: string | null;
            finishedAt: string | null;
            /** @description how often a worker has begun it */
            attempts: number;
            cancelRequested: boolean;
            /** @description true while it is queued or running and its host has no worker that was heard of in the last 30 s */
            hostUnreachable: boolean;
            progress: components["schemas"]["DumpProgress"] | null;
            /** @description why it failed, or why the last attempt did when another one follows */
            failure: components["schemas"]["DumpFailure"] | null;
            result: {
                artifact: components["schemas"]["Artifact"];
                pausedMs: number;
                alarm: boolean;
                warnings: {
                    code: string;
                    text: string;
                }[];
                totalMs: number;
                /**
                 * Format: date-time
                 * @description when retention removed the artifact and its report
                 */
                expiredAt?: string;
                disagreements?: {
                    reclaimableBytes: number;
                    untouched: number;
                    inUseUnbacked: number;
                    offlineUntold: number;
                };
            } | null;
            links: {
                self: string;
                events: string;
                artifact: string | null;
                report: string | null;
            };
        };
        Problem: {
            type: string;
            title: string;
            status: number;
            code: string;
            detail: string;
            /** @description what to do */
            remedy: string;
        } & {
            [key: string]: unknown;
        };
        DumpList: {
            items: components["schemas"]["Dump"][];
            /** @description cursor of the next page; null on the last one */
            next: string | null;
        };
        Guest: {
            id: string;
            backend: string | null;
            problem: components["schemas"]["DumpFailure"] | null;
            /**
             * @description to whom it belongs; null for nobody, or when that is not known
             * @default null
             */
            tenant: string | null;
            host: string;
            /** @description whether the host's worker was heard of in the last 30 s */
            reachable: boolean;
            /** @description since when its host takes no new dumps, or null */
            drainingSince: string | null;
            /** @description address of the dump that is queued or running */
            activeDump: string | null;
            links: {
                self: string;
                pages: string;
            };
        };
        GuestPages: {
            guest: {
                backend: string;
                kernel: string | null;
                pageSize: number;
            } & {
                [key: string]: unknown;
            };
            frames: {
                total: number;
                byClass: components["schemas"]["ClassMatrix"];
            } & {
                [key: string]: unknown;
            };
            warnings: {
                code: string;
                text: string;
            }[];
        } & {
            [key: string]: unknown;
        };
        GuestList: {
            items: components["schemas"]["Guest"][];
            /** @description cursor of the next page; null on the last one */
            next: string | null;
        };
        Readiness: {
            ready: boolean;
            journal: string;
            queue: string;
        };
        Host: {
            /** Format: uuid */
            instance?: string;
            /** Format: date-time */
            startedAt?: string;
            concurrency?: number;
            host: string;
            /** @description whether its worker was heard of in the last 30 s */
            reachable: boolean;
            /** @description since when it takes no new dumps, or null */
            drainingSince?: string | null;
            guests: string[];
        };
        HostList: {
            items: components["schemas"]["Host"][];
            /** @description cursor of the next page; null on the last one */
            next: string | null;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
