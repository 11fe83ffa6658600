// Wet pebbles on a shore, close up, after rain.
#version 3.7;
global_settings { assumed_gamma 1.0 max_trace_level 5 }

#declare LIFT = 1.7;  // where the top of the bed lies
camera {
  perspective location <0, LIFT+3.1, -2.6> look_at <0.1, LIFT, 2.1> angle 40
  right x*1.5 up y
  focal_point <0.0, LIFT+0.1, 1.3> aperture 0.13 blur_samples 20 variance 1/4000 confidence 0.85
}

light_source { <-60, 75, 40> color rgb <1.55, 1.42, 1.22>*1.55 area_light x*12, z*12, 3, 3 adaptive 1 jitter circular orient }
light_source { <30, 60, -50> color rgb <0.42, 0.52, 0.66>*0.55 shadowless }
sky_sphere { pigment { gradient y color_map { [0 rgb <0.75,0.78,0.82>] [0.5 rgb <0.55,0.66,0.82>] [1 rgb <0.95,0.97,1.0>] } } pigment { bozo turbulence 0.7 scale 0.35 color_map { [0.45 rgbt <1,1,1,1>] [0.75 rgbt <1.3,1.3,1.3,0.1>] } } }

#declare Tones = array[9] {
  <0.20,0.215,0.23>, <0.33,0.31,0.29>, <0.47,0.42,0.36>, <0.13,0.14,0.155>, <0.55,0.51,0.45>,
  <0.37,0.24,0.18>, <0.26,0.29,0.27>, <0.62,0.59,0.55>, <0.30,0.22,0.20> }

#macro Look(Kind, Id)
  #local R = seed(Id*7+1);
  #local C = Tones[Kind]*(0.62+0.4*rand(R));
  #local Vein = (rand(R) < 0.22);
  texture {
    pigment {
      granite scale 0.30+0.3*rand(R) translate <rand(R),rand(R),rand(R)>*50
      color_map { [0 rgb C*0.5] [0.35 rgb C*0.85] [0.6 rgb C*1.12] [1 rgb C*1.6] }
    }
    normal { granite 0.10 scale 0.25 }
    finish { ambient rgb <0.035,0.04,0.05> diffuse 0.62 }
  }
  texture {
    pigment {
      bozo scale 0.035 turbulence 0.4 translate rand(R)*90
      color_map { [0.0 rgbt <0.04,0.04,0.05,0.25>] [0.2 rgbt <0.1,0.1,0.1,1>] [0.76 rgbt <1,1,1,1>] [0.95 rgbt <0.85,0.82,0.78,0.45>] }
    }
    finish { ambient 0 diffuse 0.6 }
  }
  #if (Vein)
    texture {
      pigment {
        marble turbulence 0.35 octaves 5 rotate <rand(R),rand(R),rand(R)>*180 scale 0.9+rand(R) translate rand(R)*9
        color_map { [0.0 rgbt <0.9,0.87,0.82,0.08>] [0.045 rgbt <0.85,0.82,0.78,0.5>] [0.07 rgbt <1,1,1,1>] [1 rgbt <1,1,1,1>] }
      }
      finish { ambient 0 diffuse 0.65 }
    }
  #end
  // The film of water.
  texture {
    pigment { rgbt <1,1,1,1> }
    normal { bumps 0.05 scale 0.06 }
    finish { ambient 0 diffuse 0 specular 0.55 roughness 0.006 reflection { 0.0, 0.42 fresnel } conserve_energy }
  }
  interior { ior 1.34 }
#end

#include "pebbles_shapes.inc"
#include "pebbles_bed.inc"

plane { y, 0.04
  pigment { granite scale 0.2 color_map { [0 rgb <0.05,0.045,0.04>] [1 rgb <0.20,0.17,0.14>] } }
  normal { granite 0.5 scale 0.05 }
  finish { diffuse 0.6 ambient 0.02 }
}
