// SPDX-FileCopyrightText: The Firmament Authors
// SPDX-License-Identifier: Apache-2.0

// libcsuit-bench COUNT ENVELOPE KEY: has libcsuit decode and verify an envelope COUNT times. KEY is the P-256 public key in
// hexadecimal, 04 x y. Exit status 0 if each time was good, 1 if one was refused.
//
// It is built beside a built libcsuit, QCBOR and t_cose:
//
//	cc -O3 -Ilibcsuit/inc -IQCBOR/inc -It_cose/inc -o libcsuit-bench libcsuit.c \
//	    libcsuit/bin/libcsuit.a t_cose/libt_cose.a QCBOR/libqcbor.a -lcrypto -lm

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "csuit/suit_common.h"
#include "csuit/suit_cose.h"
#include "csuit/suit_manifest_decode.h"

static uint8_t envelope_bytes[1 << 20];
static suit_envelope_t envelope;

static int read_key(const char *hex, unsigned char key[65]) {
    if (strlen(hex) != 130)
        return 0;
    for (int i = 0; i < 65; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &key[i]) != 1)
            return 0;
    return 1;
}

int main(int argc, char **argv) {
    unsigned char key[65];
    if (argc != 4 || !read_key(argv[3], key)) {
        fprintf(stderr, "usage: libcsuit-bench COUNT ENVELOPE KEY\n");
        return 2;
    }
    FILE *f = fopen(argv[2], "rb");
    if (f == NULL) {
        perror(argv[2]);
        return 2;
    }
    size_t size = fread(envelope_bytes, 1, sizeof envelope_bytes, f);
    fclose(f);

    suit_mechanism_t mechanisms[SUIT_MAX_KEY_NUM];
    memset(mechanisms, 0, sizeof mechanisms);
    mechanisms[0].key.cose_algorithm_id = T_COSE_ALGORITHM_ES256;
    mechanisms[0].cose_tag = CBOR_TAG_COSE_SIGN1;
    mechanisms[0].use = true;
    if (suit_key_init_es256_public_key(key, &mechanisms[0].key) != SUIT_SUCCESS)
        return 2;

    for (long n = atol(argv[1]); n > 0; n--) {
        suit_buf_t buf = {.ptr = envelope_bytes, .len = size};
        memset(&envelope, 0, sizeof envelope);
        suit_err_t err = suit_decode_envelope(SUIT_DECODE_MODE_STRICT, &buf, &envelope, mechanisms);
        if (err != SUIT_SUCCESS) {
            fprintf(stderr, "refused: %s\n", suit_err_to_str(err));
            return 1;
        }
    }
    return 0;
}
