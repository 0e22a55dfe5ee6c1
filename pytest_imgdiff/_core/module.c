/* The module `pytest_imgdiff._core.native`: bytes in; tuples out, or None where the core declines. None of its functions
   holds Python's lock while it works. */
#include "methods.h"
#include "pair.h"

#include <stdlib.h>

#if defined(CORE_FAULTS)
long core_allocations_left = -1;
#endif

void *core_allocate(size_t size) {
#if defined(CORE_FAULTS)
    if (!core_allocations_left) return NULL;
    if (core_allocations_left > 0) core_allocations_left--;
#endif
    return malloc(size);
}

void core_free(void *memory) { free(memory); }

PyObject *declined(void) { return Py_NewRef(Py_None); }

/* A file that lies in a bytes object, which the caller's tuple of arguments keeps alive. */
typedef struct {
    const char *bytes;
    Py_ssize_t size;
} File;

#define BYTES(file) ((const uint8_t *)(file).bytes)

PyDoc_STRVAR(check_doc, "check(png) -> (width, height), or None where it is not certain that this is one whole picture.");

static PyObject *core_check(PyObject *module, PyObject *args) {
    (void)module;
    File file;
    uint32_t width = 0, height = 0;
    bool sound;
    if (!PyArg_ParseTuple(args, "y#:check", &file.bytes, &file.size)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    sound = check_png(BYTES(file), (size_t)file.size, &width, &height);
    Py_END_ALLOW_THREADS
    return sound ? Py_BuildValue("(II)", width, height) : declined();
}

/* The size that a file's header states; false where the core declines the file. */
static bool stated_size(File file, uint32_t *width, uint32_t *height) {
    PngHeader header;
    bool parsed;
    Py_BEGIN_ALLOW_THREADS
    parsed = png_parse(&header, BYTES(file), (size_t)file.size);
    Py_END_ALLOW_THREADS
    if (!parsed) return false;
    *width = header.width;
    *height = header.height;
    png_forget(&header);
    return true;
}

PyObject *new_bytes(size_t size) {
#if defined(CORE_FAULTS)
    void *probe = core_allocate(1);
    if (!probe) return NULL;
    core_free(probe);
#endif
    /* Asked for all bytes at once, CPython (3.11) drops an array that it has not set up where there is no memory for them,
       and prints that its buffers were exported. */
    PyObject *found = size <= PY_SSIZE_T_MAX ? PyByteArray_FromStringAndSize(NULL, 0) : NULL;
    if (found && PyByteArray_Resize(found, (Py_ssize_t)size)) Py_CLEAR(found);
    if (!found) PyErr_Clear();
    return found;
}

uint8_t *bytes_of(PyObject *array) { return (uint8_t *)PyByteArray_AsString(array); }

PyDoc_STRVAR(decode_doc,
             "decode(png, pixels=None, top=0, bottom=None) -> (width, height, pixels), or None where the core declines.\n\n"
             "pixels: a bytearray of width * height * 4 bytes, RGBA; the rows from top up to bottom are written to it. A\n"
             "new one, all of it written, where None is given. Colour under full transparency is 0.");

static PyObject *core_decode(PyObject *module, PyObject *args) {
    (void)module;
    File file;
    PyObject *pixels = Py_None;
    unsigned int top = 0, bottom = UINT32_MAX;
    uint32_t width, height;
    if (!PyArg_ParseTuple(args, "y#|OII:decode", &file.bytes, &file.size, &pixels, &top, &bottom)) return NULL;
    if (pixels != Py_None && !PyByteArray_Check(pixels)) {
        PyErr_SetString(PyExc_TypeError, "pixels have to be a bytearray");
        return NULL;
    }
    if (!stated_size(file, &width, &height)) return declined();
    const size_t size = 4 * (size_t)width * height;
    if (pixels == Py_None) {
        pixels = new_bytes(size);
        if (!pixels) return declined();
        top = 0;
        bottom = height;
    } else if ((size_t)PyByteArray_Size(pixels) != size) {
        PyErr_Format(PyExc_ValueError, "pixels have %zd bytes, not %zu", PyByteArray_Size(pixels), size);
        return NULL;
    } else
        Py_INCREF(pixels);
    uint8_t *rgba = bytes_of(pixels);
    bool sound;
    Py_BEGIN_ALLOW_THREADS
    sound = decode_png(BYTES(file), (size_t)file.size, width, height, top, bottom, rgba);
    Py_END_ALLOW_THREADS
    if (sound) return Py_BuildValue("(IIN)", width, height, pixels);
    Py_DECREF(pixels);
    return declined();
}

PyDoc_STRVAR(compare_doc,
             "compare(expected, actual, near, most) -> (width, height, unlike, kept, expected_pixels, actual_pixels), or\n"
             "None where the core declines, or the pictures are not of one size.\n\n"
             "near: the rows of the expected picture that are written: those that differ and so many on either side of\n"
             "them; all where it is -1. most: how many bytes may be written of both pictures; where that is exceeded,\n"
             "kept and both pixels are None. unlike: bytes, 1 for each row in which any pixel differs. kept: bytes, 1 for\n"
             "each row of expected_pixels that was written. pixels: bytearrays, RGBA; colour under full transparency is\n"
             "0. Of actual_pixels those rows were written that differ. What was not written has any values.");

static PyObject *core_compare(PyObject *module, PyObject *args) {
    (void)module;
    File expected, actual;
    int near;
    unsigned long long most;
    if (!PyArg_ParseTuple(args, "y#y#iK:compare", &expected.bytes, &expected.size, &actual.bytes, &actual.size, &near, &most))
        return NULL;
    if (near < KEEP_ALL || near > 1024) {
        PyErr_SetString(PyExc_ValueError, "near has to lie in -1..1024");
        return NULL;
    }
    Pair pair = {.near = near, .most = most};
    if (!stated_size(expected, &pair.width, &pair.height)) return declined();
    const size_t size = 4 * (size_t)pair.width * pair.height;
    PyObject *arrays[4] = {new_bytes(pair.height), new_bytes(pair.height), new_bytes(size), new_bytes(size)};
    PyObject *result = NULL;
    bool found = arrays[0] && arrays[1] && arrays[2] && arrays[3];
    if (found) {
        pair.unlike = bytes_of(arrays[0]);
        pair.kept = bytes_of(arrays[1]);
        pair.pixels[0] = bytes_of(arrays[2]);
        pair.pixels[1] = bytes_of(arrays[3]);
        memset(pair.unlike, 0, pair.height);
        memset(pair.kept, 0, pair.height);
        const uint8_t *const files[2] = {BYTES(expected), BYTES(actual)};
        const size_t sizes[2] = {(size_t)expected.size, (size_t)actual.size};
        Py_BEGIN_ALLOW_THREADS
        found = compare_pngs(&pair, files, sizes);
        Py_END_ALLOW_THREADS
    }
    if (!found)
        result = declined();
    else if (pair.within)
        result = Py_BuildValue("(IIOOOO)", pair.width, pair.height, arrays[0], arrays[1], arrays[2], arrays[3]);
    else
        result = Py_BuildValue("(IIOOOO)", pair.width, pair.height, arrays[0], Py_None, Py_None, Py_None);
    for (int i = 0; i < 4; i++) Py_XDECREF(arrays[i]);
    return result;
}

#if defined(CORE_FAULTS)
static PyObject *core_fail_after(PyObject *module, PyObject *args) {
    (void)module;
    if (!PyArg_ParseTuple(args, "l:fail_after", &core_allocations_left)) return NULL;
    Py_RETURN_NONE;
}
#endif

static PyObject *core_instructions(PyObject *module, PyObject *args) {
    (void)module, (void)args;
    return PyUnicode_FromString(core_has_avx2() ? "avx2" : "");
}

PyMethodDef PNG_METHODS[] = {
    {"check", core_check, METH_VARARGS, check_doc},
    {"decode", core_decode, METH_VARARGS, decode_doc},
    {"compare", core_compare, METH_VARARGS, compare_doc},
    {"instructions", core_instructions, METH_NOARGS, "instructions() -> 'avx2', or '' for those of any machine."},
#if defined(CORE_FAULTS)
    {"fail_after", core_fail_after, METH_VARARGS, "fail_after(count): let so many allocations succeed, -1 all."},
#endif
    {NULL, NULL, 0, NULL},
};

/* The tables of all files. */
static PyMethodDef *const TABLES[] = {PNG_METHODS,  COUNTING_METHODS, PIXELS_METHODS, SSIM_METHODS,
                                      MASK_METHODS, VISIBLE_METHODS,  LINES_METHODS,  COLOURS_METHODS};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "native", "PNG files and pixels, compared.", -1, NULL, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit_native(void) {
    checksums_set_up();
    PyObject *module = PyModule_Create(&MODULE);
    for (size_t i = 0; module && i < sizeof TABLES / sizeof *TABLES; i++)
        if (PyModule_AddFunctions(module, TABLES[i])) Py_CLEAR(module);
    return module;
}
