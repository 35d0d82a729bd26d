// SPDX-License-Identifier: Apache-2.0
// mma.sync and ldmatrix. Fragments are as the PTX ISA draws them: with group = lane / 4 and
// pair = lane % 4, a lane of a 16x8 result has rows group and group + 8, columns 2·pair and one on.
#include "cuda_runtime.h"
#include "emulator/matrix.h"
#include "ops/math/half.h"

namespace emulator
{

float half_value(uint16_t half)
{
    static std::vector<float> table;
    if (table.empty()) {
        table.resize(65536);
        for (unsigned i = 0; i < 65536; i++)
            table[i] = sac__half_float(static_cast<uint16_t>(i));
    }
    return table[half];
}

uint32_t cvt_tf32(float x)
{
    const uint32_t bits = sac__float_bits(x);
    return sac__finite(x) ? (bits + 0x1000u) & ~0x1fffu : bits;
}

// --- ldmatrix ----------------------------------------------------------------------------------

struct Rows {
    uint32_t row;
    int count;
    uint16_t halves[8]; ///< of the row
};

// Lane 8i+r has the address of row r of matrix i: read them all before anybody goes on.
static void load_rows(Warp::Slot *slots, uint32_t)
{
    for (unsigned lane = 0; lane < 32; lane++) {
        Rows *rows = reinterpret_cast<Rows *>(slots[lane].bytes);
        if (lane < 8u * static_cast<unsigned>(rows->count))
            std::memcpy(rows->halves, shared_pointer(rows->row, 16, 16), 16);
    }
}

void ldmatrix(uint32_t *d, int count, uint32_t row, bool transposed)
{
    const Rows mine = {row, count, {}};
    const Exchange<Rows> all(0xffffffffu, "ldmatrix", mine, load_rows);
    const unsigned group = self->lane / 4, pair = self->lane % 4;
    for (unsigned i = 0; i < static_cast<unsigned>(count); i++) {
        const uint16_t low =
            transposed ? all[8 * i + 2 * pair].halves[group] : all[8 * i + group].halves[2 * pair];
        const uint16_t high = transposed ? all[8 * i + 2 * pair + 1].halves[group]
                                         : all[8 * i + group].halves[2 * pair + 1];
        d[i] = low | static_cast<uint32_t>(high) << 16;
    }
}

// --- mma ---------------------------------------------------------------------------------------

// What a lane gives: its parts of a and b, as floats.
struct Fragments {
    float a[8], b[4];
};

// m16n8kK: a lane's elements of a and b lie at k(i) of their rows and columns.
static void multiply(float *d, const Exchange<Fragments> &all, const unsigned *low_k,
                     unsigned count)
{
    const unsigned group = self->lane / 4, pair = self->lane % 4;
    for (unsigned quad = 0; quad < 4; quad++) { // lanes that hold the same row, or column
        const Fragments a = all[4 * group + quad];
        for (unsigned column = 0; column < 2; column++) {
            const Fragments b = all[4 * (2 * pair + column) + quad];
            for (unsigned i = 0; i < count; i++) {
                d[column] += a.a[low_k[i]] * b.b[i];
                d[2 + column] += a.a[low_k[i] + count / 2] * b.b[i];
            }
        }
    }
}

void mma_f16(float *d, const uint32_t *a, const uint32_t *b)
{
    Fragments mine;
    for (unsigned i = 0; i < 8; i++)
        mine.a[i] = half_value((uint16_t)(a[i / 2] >> 16 * (i % 2)));
    for (unsigned i = 0; i < 4; i++)
        mine.b[i] = half_value((uint16_t)(b[i / 2] >> 16 * (i % 2)));
    // a0 a1 a4 a5 are of row `group` (k, k+1, k+8, k+9), a2 a3 a6 a7 of row `group` + 8.
    static const unsigned low_k[] = {0, 1, 4, 5};
    multiply(d, Exchange<Fragments>(0xffffffffu, "mma", mine), low_k, 4);
}

void mma_tf32(float *d, const uint32_t *a, const uint32_t *b)
{
    Fragments mine = {};
    for (unsigned i = 0; i < 4; i++)
        mine.a[i] = sac__bits_float(a[i] & ~0x1fffu);
    for (unsigned i = 0; i < 2; i++)
        mine.b[i] = sac__bits_float(b[i] & ~0x1fffu);
    // a0 a2 are of row `group` (k, k+4), a1 a3 of row `group` + 8.
    static const unsigned low_k[] = {0, 2};
    multiply(d, Exchange<Fragments>(0xffffffffu, "mma", mine), low_k, 2);
}

} // namespace emulator
