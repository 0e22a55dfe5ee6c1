/* The functions of pixels.h as Python calls them. */
#include "methods.h"
#include "pixels.h"

/* Part of the stable ABI, whose headers declare them up to Python 3.12 only; the newer protocol is not in that of 3.10.
   The caller's tuple of arguments keeps the object alive, and nobody resizes it. */
PyAPI_FUNC(int) PyObject_AsReadBuffer(PyObject *, const void **, Py_ssize_t *);
PyAPI_FUNC(int) PyObject_AsWriteBuffer(PyObject *, void **, Py_ssize_t *);

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

/* Whether so many bytes are `count` items of one size; sets an exception where they are not. The product of a count that
   is wrong may not fit a word. */
static bool has_items(Py_ssize_t size, size_t count, size_t item) {
    if (count <= PY_SSIZE_T_MAX / item && (size_t)size == count * item) return true;
    PyErr_Format(PyExc_ValueError, "there are %zd bytes, not %zu times %zu", size, count, item);
    return false;
}

/* Two pictures of `count` pixels. */
static bool both_pictures(PyObject *const objects[2], size_t count, const uint32_t *pixels[2]) {
    for (int i = 0; i < 2; i++) {
        const void *found;
        Py_ssize_t size;
        if (PyObject_AsReadBuffer(objects[i], &found, &size) || !has_items(size, count, sizeof(uint32_t))) return false;
        if ((uintptr_t)found % sizeof(uint32_t)) {
            PyErr_SetString(PyExc_ValueError, "pixels have to lie at multiples of four bytes");
            return false;
        }
        pixels[i] = found;
    }
    return true;
}

bool writable_heat(PyObject *object, size_t count, uint8_t **heat) {
    void *found;
    Py_ssize_t size;
    *heat = NULL;
    if (object == Py_None) return true;
    if (PyObject_AsWriteBuffer(object, &found, &size) || !has_items(size, count, 1)) return false;
    *heat = found;
    return true;
}

static PyObject *core_perceptual(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *objects[2], *heat;
    Perceptual job = {0};
    int oklab, opaque, ignore;
    if (!PyArg_ParseTuple(args, "OOIIIIdpppO:perceptual", &objects[0], &objects[1], &job.width, &job.height, &job.first,
                          &job.last, &job.threshold, &oklab, &opaque, &ignore, &heat))
        return NULL;
    const size_t count = (size_t)job.width * job.height;
    if (!job.width || job.first > job.last || job.last > job.height || !(job.threshold >= 0 && job.threshold <= 1)) {
        PyErr_SetString(PyExc_ValueError, "the rows lie outside the picture, or the threshold outside 0..1");
        return NULL;
    }
    if (!both_pictures(objects, count, job.pixels) || !writable_heat(heat, count, &job.heat)) return NULL;
    job.pitch = job.width;
    job.oklab = oklab;
    job.opaque = opaque;
    job.ignore_antialiasing = ignore;
    if (oklab) oklab_set_up();
    bool done;
    Py_BEGIN_ALLOW_THREADS
    done = perceptual_open(&job);
    if (done) perceptual_judge(&job);
    perceptual_close(&job);
    Py_END_ALLOW_THREADS
    if (!done) return declined();
    return Py_BuildValue("(KK)", (unsigned long long)job.counted, (unsigned long long)job.antialiased);
}

static PyObject *core_beyond_tolerance(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *objects[2], *heat;
    unsigned long long count, found;
    unsigned int limit;
    const uint32_t *pixels[2];
    uint8_t *levels;
    if (!PyArg_ParseTuple(args, "OOKIO:beyond_tolerance", &objects[0], &objects[1], &count, &limit, &heat)) return NULL;
    if (!both_pictures(objects, count, pixels) || !writable_heat(heat, count, &levels)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    found = beyond_tolerance(pixels[0], pixels[1], count, limit, levels);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(found);
}

static PyObject *core_sums(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *objects[2];
    unsigned long long count;
    const uint32_t *pixels[2];
    Sums sums;
    if (!PyArg_ParseTuple(args, "OOK:sums", &objects[0], &objects[1], &count)) return NULL;
    if (!both_pictures(objects, count, pixels)) return NULL;
    Py_BEGIN_ALLOW_THREADS
    sums = sums_of_differences(pixels[0], pixels[1], count);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("(KKKKK)", (unsigned long long)sums.absolute[0], (unsigned long long)sums.absolute[1],
                         (unsigned long long)sums.absolute[2], (unsigned long long)sums.absolute[3],
                         (unsigned long long)sums.squared);
}

static PyObject *core_opaque(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *object;
    const void *pixels;
    Py_ssize_t size;
    bool opaque;
    if (!PyArg_ParseTuple(args, "O:opaque", &object)) return NULL;
    if (PyObject_AsReadBuffer(object, &pixels, &size)) return NULL;
    if (size % (Py_ssize_t)sizeof(uint32_t) || (uintptr_t)pixels % sizeof(uint32_t)) {
        PyErr_SetString(PyExc_ValueError, "these are no RGBA pixels");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    opaque = pixels_are_opaque(pixels, (size_t)size / sizeof(uint32_t));
    Py_END_ALLOW_THREADS
    return PyBool_FromLong(opaque);
}

static PyObject *core_most_in_window(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *object;
    const void *heat;
    Py_ssize_t size;
    unsigned int width, height, side;
    int64_t most;
    if (!PyArg_ParseTuple(args, "OIII:most_in_window", &object, &width, &height, &side)) return NULL;
    if (PyObject_AsReadBuffer(object, &heat, &size) || !has_items(size, (size_t)width * height, 1)) return NULL;
    if (!width || !height || !side) {
        PyErr_SetString(PyExc_ValueError, "neither the heat nor the window may be empty");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    most = most_in_window(heat, width, height, side);
    Py_END_ALLOW_THREADS
    return most < 0 ? declined() : PyLong_FromLongLong(most);
}

static PyObject *core_regions(PyObject *module, PyObject *args) {
    (void)module;
    PyObject *object;
    const void *heat;
    Py_ssize_t size;
    unsigned int width, height, distance;
    RegionBox *boxes = NULL;
    int64_t count;
    if (!PyArg_ParseTuple(args, "OIII:regions", &object, &width, &height, &distance)) return NULL;
    if (PyObject_AsReadBuffer(object, &heat, &size) || !has_items(size, (size_t)width * height, 1)) return NULL;
    if (!width || !height || width > INT32_MAX || height > INT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "the heat has a size that no picture has");
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    count = find_regions(heat, width, height, distance, &boxes);
    Py_END_ALLOW_THREADS
    if (count < 0) return declined();
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (int64_t i = 0; list && i < count; i++) {
        const RegionBox *box = &boxes[i];
        PyObject *item = Py_BuildValue("(iiiiKi)", box->left, box->top, box->right, box->bottom, (unsigned long long)box->area,
                                       (int)box->peak);
        if (!item || PyList_SetItem(list, (Py_ssize_t)i, item)) Py_CLEAR(list);
    }
    core_free(boxes);
    return list;
}

PyMethodDef PIXELS_METHODS[] = {
    {"perceptual", core_perceptual, METH_VARARGS,
     "perceptual(expected, actual, width, height, first, last, threshold, oklab, opaque, ignore_antialiasing, heat)\n"
     "-> (pixels, antialiased), of the rows from first up to last; None where there is no memory. expected, actual: RGBA,\n"
     "8 bits a channel. heat: width * height bytes that can be written to, or None; only what counts is written."},
    {"beyond_tolerance", core_beyond_tolerance, METH_VARARGS,
     "beyond_tolerance(expected, actual, count, limit, heat) -> how many of so many pixels have a channel that differs by\n"
     "more than limit. heat: count bytes that can be written to, 0 as yet, or None."},
    {"sums", core_sums, METH_VARARGS,
     "sums(expected, actual, count) -> (red, green, blue, alpha, squares): the sums of the absolute differences of each\n"
     "channel of so many pixels, and that of the squared differences of all channels."},
    {"opaque", core_opaque, METH_VARARGS, "opaque(pixels) -> whether every pixel is fully opaque."},
    {"most_in_window", core_most_in_window, METH_VARARGS,
     "most_in_window(heat, width, height, side) -> the most pixels above 0 in any square window of side pixels; None\n"
     "where there is no memory."},
    {"regions", core_regions, METH_VARARGS,
     "regions(heat, width, height, distance) -> a list, in no order, of (left, top, right, bottom, area, peak): the boxes\n"
     "of what is above 0, joined where at most distance pixels lie between them; None where there is no memory for them,\n"
     "or there are thousands."},
    {NULL, NULL, 0, NULL},
};
